//! Rules on Rust syntax: where `unsafe` may stand, how long a function may be, who may derive
//! Serialize, which macros are not used and how.
//!
//! Owns one parse per file. Never resolves names: a rule sees what is written.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};

use super::{Allow, Finding, Source};

const BODY_LINES_MAX: usize = 70;
const UNFINISHED: &[&str] = &["todo", "unimplemented"];

/// The syntax rules for one Rust file.
pub fn check(source: &Source, allow: &Allow) -> Vec<Finding> {
    let file = match syn::parse_file(&source.text) {
        Ok(file) => file,
        Err(error) => {
            return vec![Finding::new(
                &source.path,
                format!("does not parse: {error}"),
            )];
        }
    };
    let mut rules = Rules {
        source,
        allow,
        found: Vec::new(),
        test_depth: u32::from(source.is_test()),
    };
    rules.visit_file(&file);
    let mut found = rules.found;
    found.extend(unsafe_tokens(source));
    found
}

/// Entries of the allow-list that allow nothing any more: the list only shrinks.
pub fn stale_allowances(sources: &[Source], allow: &Allow) -> Vec<Finding> {
    let everything = |path: &str| sources.iter().find(|source| source.path == path);
    let stale = |entry: &&String| {
        let Some((path, function)) = entry.split_once("::") else {
            return true;
        };
        let nothing = Allow::default();
        !everything(path).is_some_and(|source| {
            check(source, &nothing)
                .iter()
                .any(|f| f.what.contains(&format!("`{function}`")))
        })
    };
    let finding = |entry: &String| {
        Finding::new(
            "xtask/allow.toml",
            format!("{entry} needs no allowance any more: remove the line"),
        )
    };
    allow
        .long_functions
        .iter()
        .filter(stale)
        .map(finding)
        .collect()
}

struct Rules<'a> {
    source: &'a Source,
    allow: &'a Allow,
    found: Vec<Finding>,
    test_depth: u32,
}

impl Rules<'_> {
    fn report(&mut self, span: Span, what: impl Into<String>) {
        let place = format!("{}:{}", self.source.path, span.start().line);
        self.found.push(Finding::new(place, what));
    }

    fn function(&mut self, name: &syn::Ident, attrs: &[syn::Attribute], block: &syn::Block) {
        let braces = block.brace_token.span;
        let lines = braces
            .close()
            .start()
            .line
            .saturating_sub(braces.open().start().line + 1);
        let key = format!("{}::{name}", self.source.path);
        let exempt =
            self.test_depth > 0 || is_test(attrs) || self.allow.long_functions.contains(&key);
        if lines > BODY_LINES_MAX && !exempt {
            self.report(name.span(), format!("`{name}` has {lines} lines; the limit is {BODY_LINES_MAX}: the parent branches, leaves compute"));
        }
    }

    fn derives(&mut self, attrs: &[syn::Attribute]) {
        let path = &self.source.path;
        let file = path.rsplit('/').next().unwrap_or_default();
        let allowed = matches!(self.source.krate(), "api" | "xtask" | "fuzz")
            || matches!(file, "wire.rs" | "record.rs")
            || self.test_depth > 0;
        for attr in attrs
            .iter()
            .filter(|attr| attr.path().is_ident("derive") && !allowed)
        {
            let syn::Meta::List(list) = &attr.meta else {
                continue;
            };
            let words: Vec<String> = list
                .tokens
                .clone()
                .into_iter()
                .map(|token| token.to_string())
                .collect();
            for word in words
                .iter()
                .filter(|word| matches!(word.as_str(), "Serialize" | "Deserialize"))
            {
                self.report(
                    attr.pound_token.span,
                    format!("derives {word}: only `api`, wire.rs and record.rs make formats"),
                );
            }
        }
    }

    fn within<T>(&mut self, attrs: &[syn::Attribute], node: &T, walk: fn(&mut Self, &T)) {
        let test = u32::from(is_cfg_test(attrs) || is_test(attrs));
        self.test_depth += test;
        walk(self, node);
        self.test_depth -= test;
    }
}

impl<'ast> Visit<'ast> for Rules<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig.ident, &item.attrs, &item.block);
        self.within(&item.attrs, item, |rules, item| {
            visit::visit_item_fn(rules, item)
        });
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig.ident, &item.attrs, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.within(&item.attrs, item, |rules, item| {
            visit::visit_item_mod(rules, item)
        });
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.derives(&item.attrs);
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.derives(&item.attrs);
        visit::visit_item_enum(self, item);
    }

    fn visit_attribute(&mut self, attr: &'ast syn::Attribute) {
        if attr.path().is_ident("allow")
            && attr_words(attr).contains("unsafe_code")
            && self.source.krate() != "sys"
        {
            self.report(attr.pound_token.span, "allows unsafe_code: only `sys` may");
        }
    }

    fn visit_stmt_macro(&mut self, stmt: &'ast syn::StmtMacro) {
        if stmt.mac.path.is_ident("matches") && stmt.semi_token.is_some() {
            self.report(
                stmt.mac.bang_token.span,
                "`matches!` as a statement checks nothing: assert it",
            );
        }
        visit::visit_stmt_macro(self, stmt);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        let name = mac
            .path
            .segments
            .last()
            .map(|segment| segment.ident.to_string())
            .unwrap_or_default();
        if UNFINISHED.contains(&name.as_str()) {
            self.report(
                mac.bang_token.span,
                format!("`{name}!`: what is not there yet is refused by name, not promised"),
            );
        }
        visit::visit_macro(self, mac);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        let sleeps = match &*call.func {
            syn::Expr::Path(path) => path
                .path
                .segments
                .last()
                .is_some_and(|segment| segment.ident == "sleep"),
            _ => false,
        };
        if sleeps && self.test_depth > 0 {
            self.report(
                call.paren_token.span.open(),
                "a test that sleeps: wait for the event, or advance a fake clock",
            );
        }
        visit::visit_expr_call(self, call);
    }
}

/// `unsafe` outside `sys`, and files of `sys` that have it without saying why it is sound.
fn unsafe_tokens(source: &Source) -> Vec<Finding> {
    let Ok(tokens) = source.text.parse::<TokenStream>() else {
        return Vec::new();
    };
    let mut spans = Vec::new();
    find_unsafe(tokens, &mut spans);
    let place = |span: &Span| format!("{}:{}", source.path, span.start().line);
    if source.path.starts_with("crates/sys/") {
        let silent = !spans.is_empty() && !source.text.contains("SAFETY:");
        return spans
            .iter()
            .take(usize::from(silent))
            .map(|span| Finding::new(place(span), "unsafe without a SAFETY comment"))
            .collect();
    }
    spans
        .iter()
        .map(|span| {
            Finding::new(
                place(span),
                "`unsafe`: only `sys` may, as a safe call over owned fds",
            )
        })
        .collect()
}

fn find_unsafe(tokens: TokenStream, spans: &mut Vec<Span>) {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) if ident == "unsafe" => spans.push(ident.span()),
            TokenTree::Group(group) => find_unsafe(group.stream(), spans),
            _ => {}
        }
    }
}

fn is_test(attrs: &[syn::Attribute]) -> bool {
    attrs.iter().any(|attr| {
        attr.path()
            .segments
            .last()
            .is_some_and(|segment| segment.ident == "test")
    })
}

fn is_cfg_test(attrs: &[syn::Attribute]) -> bool {
    attrs
        .iter()
        .any(|attr| attr.path().is_ident("cfg") && attr_words(attr).trim() == "test")
}

fn attr_words(attr: &syn::Attribute) -> String {
    match &attr.meta {
        syn::Meta::List(list) => list.tokens.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&sample(path, text), &Allow::default())
            .into_iter()
            .map(|finding| finding.what)
            .collect()
    }

    #[track_caller]
    fn good(path: &str, text: &str) {
        assert_eq!(found(path, text), Vec::<String>::new());
    }

    #[track_caller]
    fn bad(path: &str, text: &str) {
        assert_eq!(found(path, text).len(), 1, "{:?}", found(path, text));
    }

    /// The keyword, split so that this file does not hold it.
    fn with_unsafe(text: &str) -> String {
        text.replace('@', &["un", "safe"].concat())
    }

    #[test]
    fn unsafe_stays_in_sys_and_says_why() {
        let block = with_unsafe("fn f() { @ { g() } }");
        bad("crates/runtime/src/a.rs", &block);
        bad("crates/sys/src/a.rs", &block);
        good(
            "crates/sys/src/a.rs",
            &with_unsafe("fn f() {\n// SAFETY: g has no contract.\n@ { g() } }"),
        );
        good("crates/runtime/src/a.rs", "// the word alone in a comment");
        bad(
            "crates/runtime/src/a.rs",
            &with_unsafe("macro_rules! m { () => { @ {} } }"),
        );
        bad("crates/engine/src/lib.rs", "#![allow(unsafe_code)]");
        good("crates/sys/src/lib.rs", "#![allow(unsafe_code)]");
    }

    #[test]
    fn functions_have_seventy_lines_tests_and_allowed_ones_more() {
        let long = format!("fn f() {{\n{}}}", "    g();\n".repeat(71));
        bad("crates/x/src/a.rs", &long);
        good(
            "crates/x/src/a.rs",
            &format!("fn f() {{\n{}}}", "    g();\n".repeat(70)),
        );
        good("crates/x/src/a.rs", &format!("#[test]\n{long}"));
        good(
            "crates/x/src/a.rs",
            &format!("#[cfg(test)]\nmod tests {{\n{long}\n}}"),
        );
        good("crates/x/tests/it/a.rs", &long);
        bad(
            "crates/x/src/a.rs",
            &format!("struct S; impl S {{\n{long}\n}}"),
        );
        let allow = Allow {
            long_functions: vec!["crates/x/src/a.rs::f".to_owned()],
        };
        let source = sample("crates/x/src/a.rs", &long);
        assert_eq!(check(&source, &allow), []);
        assert_eq!(stale_allowances(&[source], &allow), []);
        let short = sample("crates/x/src/a.rs", "fn f() {}");
        assert_eq!(stale_allowances(&[short], &allow).len(), 1);
    }

    #[test]
    fn only_api_wire_and_record_make_formats() {
        let derive = "#[derive(Clone, Serialize)] struct S;";
        bad("crates/engine/src/state.rs", derive);
        good("crates/engine/src/record.rs", derive);
        good("crates/runtime/src/monitor/wire.rs", derive);
        good("crates/api/src/docker.rs", derive);
        good("crates/engine/src/state.rs", "#[derive(Clone)] struct S;");
    }

    #[test]
    fn nothing_is_promised_and_nothing_is_checked_in_vain() {
        bad("crates/x/src/a.rs", "fn f() { todo!() }");
        bad("crates/x/src/a.rs", "fn f() { unimplemented!(\"later\"); }");
        bad("crates/x/src/a.rs", "fn f() { matches!(a, Some(_)); }");
        good(
            "crates/x/src/a.rs",
            "fn f() -> bool { matches!(a, Some(_)) }",
        );
    }

    #[test]
    fn tests_do_not_sleep() {
        bad(
            "crates/x/tests/it/a.rs",
            "fn f() { tokio::time::sleep(d); }",
        );
        bad(
            "crates/x/src/a.rs",
            "#[cfg(test)] mod tests { fn f() { sleep(d); } }",
        );
        good(
            "crates/x/src/a.rs",
            "async fn f() { tokio::time::sleep(d).await; }",
        );
        good(
            "crates/x/tests/it/a.rs",
            "fn f() { weft(&[\"run\", \"busybox\", \"sleep\", \"60\"]); }",
        );
    }
}
