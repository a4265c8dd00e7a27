"""From files in many languages to blocks of token numbers: corpus, tokenizer, cuts, draws."""
