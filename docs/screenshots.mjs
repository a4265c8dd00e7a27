// Signs in, opens the page of a project, and takes the pictures: see screenshots.py.
import { createRequire } from "node:module";
import { join } from "node:path";

const { chromium } = createRequire(join(process.cwd(), "x"))("playwright-core");
const [page_url, out] = process.argv.slice(2);
const origin = new URL(page_url).origin;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const context = await browser.newContext({ viewport: { width: 1280, height: 560 } });
// Nothing but the server itself is asked.
await context.route("**/*", (route) =>
  new URL(route.request().url()).origin === origin ? route.continue() : route.abort());
const page = await context.newPage();
const settle = () => page.waitForTimeout(2500);
const take = async (name) => {
  await settle();
  await page.screenshot({ path: join(out, `${name}.png`) });
};

await page.goto(`${origin}/user/login/`);
await page.fill("input[name=email]", process.env.LABEL_STUDIO_USERNAME);
await page.fill("input[name=password]", process.env.LABEL_STUDIO_PASSWORD);
await page.click("[type=submit]");
await page.waitForURL((url) => !url.pathname.includes("login"));

await page.goto(page_url);
await take("project");
await page.getByRole("button", { name: /Label All Tasks/i }).first().click();
await take("suggestion");
for (const button of ["Submit", "Submit", "Skip", "Submit"]) {
  await page.locator(`button:has-text("${button}")`).first().click();
  await settle();
}
await page.goto(page_url);
await take("done");
await page.goto(`${origin}/user/account`);
await page.getByText("Personal Access Token").first().click();
await take("token");
await browser.close();
