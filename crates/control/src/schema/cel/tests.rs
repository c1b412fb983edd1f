//! What expressions mean, which ones are refused, and that none runs away.

use serde_json::{Value, json};

use super::*;

/// A place of every type.
fn kind() -> Type {
    Type::of(&json!({ "type": "object", "properties": {
        "count": { "type": "integer" },
        "ratio": { "type": "number" },
        "name": { "type": "string" },
        "on": { "type": "boolean" },
        "port": { "x-kubernetes-int-or-string": true },
        "since": { "type": "string", "format": "date-time" },
        "day": { "type": "string", "format": "date" },
        "wait": { "type": "string", "format": "duration" },
        "data": { "type": "string", "format": "byte" },
        "list": { "type": "array", "items": { "type": "integer" } },
        "names": { "type": "array", "items": { "type": "string" } },
        "set": { "type": "array", "items": { "type": "string" }, "x-kubernetes-list-type": "set" },
        "ports": { "type": "array", "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["port"],
            "items": { "type": "object", "properties": {
                "port": { "type": "integer" }, "name": { "type": "string" },
            } } },
        "labels": { "type": "object", "additionalProperties": { "type": "string" } },
        "a-b": { "type": "integer" },
        "c.d/e": { "type": "integer" },
        "f__g": { "type": "integer" },
        "namespace": { "type": "string" },
        "any": { "x-kubernetes-preserve-unknown-fields": true },
        "gone": { "type": "object", "properties": { "x": { "type": "integer" } } },
    } }))
}

fn object() -> Value {
    json!({
        "count": 3, "ratio": 2, "name": "héllo", "on": true, "port": "http",
        "since": "2024-02-29T12:30:05Z", "day": "2024-03-01", "wait": "1h30m", "data": "aGk=",
        "list": [1, 2, 3], "names": ["b", "a"], "set": ["x", "y"],
        "ports": [{ "port": 80, "name": "http" }, { "port": 443 }],
        "labels": { "app": "web", "x.y/z": "1" },
        "a-b": 1, "c.d/e": 2, "f__g": 3, "namespace": "n",
        "any": { "deep": [1.5] },
    })
}

fn given(text: &str) -> Result<String, String> {
    let (kind, object) = (kind(), object());
    let frame = Frame {
        itself: &kind,
        old: &kind,
        wanted: &Type::Any,
    };
    let program = Program::compile(text, &frame).map_err(|why| format!("refused: {why}"))?;
    let read = || Val::read(&object, &kind).unwrap();
    let given = program.run(&mut Run::new(), read(), read());
    given.map(|given| given.shown()).map_err(|fail| fail.told())
}

#[test]
fn expressions_mean_what_the_language_says() {
    for (text, wanted) in [
        (
            "self.count == 3 && self.ratio == 2.0 && self.count > 2.5",
            "true",
        ),
        ("self.count / 2 * 10 + self.count % 2 - -1", "12"),
        (
            "type(self.ratio) == double && type(self.count) == int",
            "true",
        ),
        ("self.port == 'http' || self.port > 1024", "true"),
        ("1 / 0 == 1 || true", "true"),
        ("true || 1 / 0 == 1", "true"),
        ("!(1 / 0 == 1 && false)", "true"),
        ("[0, 1].exists(x, 1 / x == 1)", "true"),
        ("[2, 0].all(x, 1 / x == 1)", "false"),
        ("has(self.gone) || !has(self.gone.x)", "no such key: gone"),
        (
            "!has(self.gone) && has(self.name) && has(self.labels.app)",
            "true",
        ),
        ("self.?gone.?x.orValue(7)", "7"),
        ("self.?gone.x.hasValue()", "false"),
        (
            "self.labels[?'no'].orValue('none') + self.list[?1].value().nothing",
            "refused",
        ),
        (
            "self.labels[?'no'].orValue('none') + string(self.list[?1].value())",
            "none2",
        ),
        ("optional.of(1).or(optional.none()).value()", "1"),
        (
            "self.a__dash__b + self.c__dot__d__slash__e + self.f__underscores__g",
            "6",
        ),
        ("self.__namespace__", "n"),
        ("self.labels['x.y/z']", "1"),
        (
            "'app' in self.labels && !('no' in self.labels) && 2 in self.list",
            "true",
        ),
        (
            "self.labels.all(k, k.size() > 2) && self.labels.map(k, k).size() == 2",
            "true",
        ),
        ("self.list.map(x, x * 2).filter(x, x > 2)", "[4, 6]"),
        ("self.list.map(x, x > 1, x * 2)", "[4, 6]"),
        (
            "self.ports.exists_one(p, p.port == 80 && p.name == 'http')",
            "true",
        ),
        (
            "self.ports.all(p, !has(p.name) || p.name.matches('^[a-z]+$'))",
            "true",
        ),
        (
            "self.list.all(x, self.list.exists_one(x, x == 2) && x > 0)",
            "true",
        ),
        ("{'a': 1, 'b': [2]} == {'b': [2], 'a': 1}", "true"),
        ("self.set == ['y', 'x'] && self.names != ['a', 'b']", "true"),
        ("self.set + ['y', 'z']", "[x, y, z]"),
        (
            "(self.ports + [{'port': 443, 'name': 'tls'}]).map(p, p.port)",
            "[80, 443]",
        ),
        ("self == oldSelf && self.ports == oldSelf.ports", "true"),
        ("self.on ? 'yes' : 'no'", "yes"),
        ("r'\\d' + \"\\u00e9\" + '''x'''", "\\déx"),
        (
            "size(self.name) == 5 && self.name.size() == 5 && size(self.list) == 3",
            "true",
        ),
        ("dyn(1) == dyn('1')", "false"),
        ("self.any.deep[0] == 1.5", "true"),
        ("0x10 + 1 == 17 && 5u + 1u == 6u && 1e3 == 1000.0", "true"),
        ("-9223372036854775808 < 0", "true"),
        ("int('12') + int(2.9) + int(3u)", "17"),
        (
            "string(1.5) + string(7) + string(true) + string(b'hi')",
            "1.57truehi",
        ),
        ("double('1.5') + double(1)", "2.5"),
        ("bool('true') && uint(5) == 5u", "true"),
        ("self.data == b'hi'", "true"),
        ("null == null && [null] != []", "true"),
    ] {
        let found = given(text).unwrap_or_else(|why| why);
        match wanted {
            "refused" => assert!(found.starts_with("refused"), "{text}: {found}"),
            wanted => assert_eq!(found, wanted, "{text}"),
        }
    }
}

#[test]
fn extensions_do_what_kubernetes_says() {
    for (text, wanted) in [
        (
            "'%s|%d|%.2f|%f|%%|%x|%b|%s'.format([self.name, 7, 1.5, 2, -255, 5u, self.wait])",
            "héllo|7|1.50|2.000000|%|-ff|101|5400s",
        ),
        (
            "self.ports == [{'port': 80, 'name': 'http'}, {'port': 443}]",
            "true",
        ),
        ("self.name.charAt(1) + 'abc'.charAt(3)", "é"),
        (
            "'hello'.indexOf('l') + 'hello'.indexOf('l', 3) * 10 + 'x'.indexOf('y')",
            "31",
        ),
        (
            "'hello'.lastIndexOf('l') + 'hello'.lastIndexOf('l', 2) * 10",
            "23",
        ),
        ("'héé'.lastIndexOf('é') + 'ab'.lastIndexOf('ab', 0)", "2"),
        ("'AbÉ'.lowerAscii() + 'aé'.upperAscii()", "abÉAé"),
        (
            "'aaa'.replace('a', 'b', 2) + 'ab'.replace('', '-')",
            "bba-a-b-",
        ),
        ("'a,b,c'.split(',')", "[a, b, c]"),
        ("'a,b,c'.split(',', 2)", "[a, b,c]"),
        ("'aéb'.split('').size() + 'ab'.split(',', 0).size()", "3"),
        ("'héllo'.substring(1, 3) + 'héllo'.substring(4)", "élo"),
        (
            "' x '.trim() + ['a', 'b'].join('-') + self.names.join()",
            "xa-bba",
        ),
        ("'abc 123'.find('[0-9]+') + ''.find('x')", "123"),
        ("'a1b2c3'.findAll('[0-9]', 2)", "[1, 2]"),
        ("self.list.isSorted() && !self.names.isSorted()", "true"),
        ("self.list.sum() + self.list.min() + self.list.max()", "10"),
        ("[1.5, 1.5].sum()", "3"),
        (
            "url('mailto:ann').getEscapedPath() + url('mailto:ann').getScheme()",
            "mailto",
        ),
        (
            "['b', 'a', 'b'].indexOf('b') + ['b', 'a', 'b'].lastIndexOf('b')",
            "2",
        ),
        (
            "sets.contains([1, 2], [2]) && sets.equivalent([1, 1], [1])",
            "true",
        ),
        ("sets.intersects([1], [2])", "false"),
        ("quantity('1Gi').compareTo(quantity('1024Mi'))", "0"),
        (
            "quantity('1500m').isGreaterThan(quantity('1')) && isQuantity('10k')",
            "true",
        ),
        ("isQuantity('10kk') || isQuantity(' 1')", "false"),
        (
            "quantity('1').add(quantity('500m')).sub(1).asApproximateFloat()",
            "0.5",
        ),
        (
            "quantity('50k').asInteger() + quantity('-1').sign()",
            "49999",
        ),
        ("quantity('1500m').isInteger()", "false"),
        (
            "isIP('10.0.0.1') && isIP('::1') && !isIP('::ffff:1.2.3.4') && !isIP('10.1')",
            "true",
        ),
        ("ip('10.0.0.1').family() + ip('fe80::1').family()", "10"),
        (
            "ip('127.0.0.1').isLoopback() && ip('fe80::1').isLinkLocalUnicast()",
            "true",
        ),
        (
            "ip('224.0.0.1').isLinkLocalMulticast() && ip('8.8.8.8').isGlobalUnicast()",
            "true",
        ),
        (
            "ip.isCanonical('2001:db8::1') && !ip.isCanonical('2001:DB8::1')",
            "true",
        ),
        ("cidr('10.0.0.0/8').containsIP('10.9.9.9')", "true"),
        (
            "format.dns1123Label().validate('a-b').hasValue() || format.uuid().validate('a') == optional.none()",
            "false",
        ),
        (
            "format.named('dns1035LabelPrefix').value().validate('a-').hasValue() || format.named('x').hasValue()",
            "false",
        ),
        (
            "format.labelValue().validate('-').value().size() == 1 && format.dns1123Label() != format.date()",
            "true",
        ),
        (
            "cidr('10.0.0.0/8').containsCIDR(cidr('0.0.0.0/0'))",
            "false",
        ),
        (
            "string(cidr('10.1.2.3/8').masked()) + string(cidr('::/0').ip())",
            "10.0.0.0/8::",
        ),
        ("cidr('10.0.0.0/8').prefixLength()", "8"),
        (
            "isCIDR('10.0.0.0/33') || isCIDR('10.0.0.0') || isCIDR('1.1.1.1/08')",
            "false",
        ),
        (
            "url('https://me@a.b:81/c%20d?x=1&x=%32&y=').getHost()",
            "a.b:81",
        ),
        (
            "url('https://[::1]:80/').getHostname() + url('http://a:8/').getPort()",
            "::18",
        ),
        (
            "url('HTTPS://a/b?c').getScheme() + url('/b/c?d').getEscapedPath()",
            "https/b/c",
        ),
        ("url('/?x=1&x=%32').getQuery()['x']", "[1, 2]"),
        (
            "isURL('https://a/%zz') || isURL('a b') || isURL('x') || isURL('http://a:b/')",
            "false",
        ),
        (
            "self.since > timestamp('2024-01-01T00:00:00Z') && self.since < self.day",
            "true",
        ),
        (
            "self.since.getFullYear() + self.since.getMonth() + self.since.getDate()",
            "2054",
        ),
        (
            "self.since.getDayOfWeek() + self.since.getHours() + self.since.getMinutes()",
            "46",
        ),
        (
            "string(self.since + duration('-30m'))",
            "2024-02-29T12:00:05Z",
        ),
        (
            "self.wait == duration('90m') && self.wait <= duration('24h')",
            "true",
        ),
        (
            "string(self.wait) + string(duration('-1.5s')) + string(duration('1h2ms'))",
            "5400s-1.5s3600.002s",
        ),
        (
            "self.wait.getMinutes() + int(duration('1s')) / 1000000000",
            "91",
        ),
        ("string(self.day - self.since)", "41395s"),
    ] {
        assert_eq!(given(text).unwrap_or_else(|why| why), wanted, "{text}");
    }
}

#[test]
fn what_is_not_known_is_refused_by_its_name() {
    for (text, why) in [
        ("self.coun == 3", "undefined field 'coun'"),
        ("self.ports.all(p, p.prt > 1)", "undefined field 'prt'"),
        ("self.gone.y", "undefined field 'y'"),
        ("self.a-b", "undefined field 'a'"),
        ("self.namespace", "undefined field 'namespace'"),
        ("old.count == 1", "undeclared reference to 'old'"),
        ("self.list.all(x, y > 1)", "undeclared reference to 'y'"),
        ("self.list.all(x, true) && x", "undeclared reference to 'x'"),
        (
            "self.name.reverse() == ''",
            "undeclared reference to 'reverse'",
        ),
        ("nope(self)", "undeclared reference to 'nope'"),
        ("math.greatest(1, 2)", "undeclared reference to 'math'"),
        ("self.list.all(i, x, i < x)", "undeclared reference to 'i'"),
        ("cel.bind(x, 1, x)", "undeclared reference to 'cel'"),
        ("Object{a: 1}", "undeclared reference to 'Object'"),
        (
            "self.count.startsWith('a')",
            "no matching overload for 'startsWith' applied to '(int, string)'",
        ),
        ("self.name.startsWith(1)", "(string, int)"),
        ("self.name == 3", "no matching overload for '_==_'"),
        ("self.count + 'a'", "no matching overload for '_+_'"),
        ("self.count < 'a'", "no matching overload for '_<_'"),
        ("self.count && true", "no matching overload for '_&&_'"),
        ("self.list.filter(x, x)", "expected a bool"),
        ("self.count.all(x, true)", "cannot be range"),
        ("self.name.matches('(')", "regex"),
        ("self.count.x", "does not support field selection"),
        ("self['count']", "no matching overload for '_[_]'"),
        ("has(self)", "invalid argument to has()"),
        ("self.count ==", "compilation failed: 1:"),
        ("", "compilation failed"),
        ("[?self.count]", "optional elements"),
    ] {
        let found = given(text).unwrap_err();
        assert!(
            found.starts_with("refused: ") && found.contains(why),
            "{text}: {found}"
        );
    }
    let (kind, any) = (kind(), Type::Any);
    let frame = |wanted| Frame {
        itself: &kind,
        old: &any,
        wanted,
    };
    let found = Program::compile("self.count", &frame(&Type::BOOL)).unwrap_err();
    assert_eq!(found, "must evaluate to bool, and gives int");
}

#[test]
fn what_has_no_value_is_an_error() {
    for (text, why) in [
        ("1 / 0", "division by zero"),
        ("5 % (1 - 1)", "modulus by zero"),
        ("9223372036854775807 + 1", "out of range"),
        ("-9223372036854775808 / -1", "out of range"),
        ("-9223372036854775808 % -1", "out of range"),
        ("-(-9223372036854775807 - 1)", "out of range"),
        ("0u - 1u", "out of range"),
        ("int(1e300)", "out of range"),
        ("int(0.0 / 0.0)", "out of range"),
        ("int('x') == 1", "out of range"),
        ("self.list[3]", "index out of bounds"),
        ("self.list[-1]", "index out of bounds"),
        ("self.labels['no']", "no such key"),
        ("self.gone.x == 1", "no such key: gone"),
        ("{'a': 1, 'a': 2}", "key twice"),
        ("'abc'.substring(2, 1)", "index out of range"),
        ("'abc'.substring(4)", "index out of range"),
        ("'abc'.charAt(-1)", "out of range"),
        ("'é'.indexOf('', 9)", "index out of range"),
        ("[].min()", "empty list"),
        ("[1, 'a'].sum()", "only numbers"),
        ("[dyn(1), dyn('a')].isSorted()", "no order"),
        (
            "duration('2000000h') + duration('2000000h')",
            "out of range",
        ),
        ("duration('99999999999999999999h')", "no duration"),
        ("duration('1')", "no duration"),
        (
            "timestamp('9999-12-30T00:00:00Z') + duration('2000000h')",
            "out of range",
        ),
        ("timestamp('yesterday')", "no timestamp"),
        ("quantity('1x')", "quantities must"),
        ("ip('1.2.3')", "no IP"),
        ("optional.none().value()", "dereference"),
        ("'%d'.format(['a'])", "%d cannot show a string"),
        ("'%d %d'.format([1])", "more is named"),
        ("'%d'.format([1, 2])", "more is there"),
        ("'%.999999999f'.format([1])", "precision"),
        ("'%'.format([1])", "nothing follows"),
        ("dyn(1) < dyn('a')", "no such overload"),
        ("dyn('a').matches('(')", "refused"),
        ("'a'.matches(self.name + '(')", "regex"),
        ("[1].all(x, dyn(x))", "expected a bool"),
    ] {
        let found = given(text).unwrap_err();
        assert!(found.contains(why), "{text}: {found}");
    }
}

/// Half of what a thread of the server has: it is not the first to be called there.
#[test]
fn none_is_too_deep_or_too_long() {
    let small = std::thread::Builder::new().stack_size(1 << 20);
    small.spawn(go_deep).unwrap().join().unwrap();
}

/// Texts that make a parser or a run go deep.
fn go_deep() {
    for (begin, end) in [
        ("(", ")"),
        ("!-", ""),
        ("[", "]"),
        ("{1:", "}"),
        ("size(", ")"),
        ("true?1:", ""),
        ("1+", ""),
        ("[1].all(x,", ")"),
        ("has(", ")"),
        ("1<2?", ":1"),
    ] {
        for times in [10, 39, 99, 499, 2000] {
            let text = format!("{}1{}", begin.repeat(times), end.repeat(times));
            let _ = given(&text);
        }
    }
    for after in [
        ".b",
        "[0]",
        "+1",
        ".a()",
        ".all(x, x)",
        ".?b",
        "[?0]",
        "||true",
        "?1:2",
    ] {
        for times in [10, 99, 499, 2000] {
            let _ = given(&format!("self{}", after.repeat(times)));
        }
    }
    let deep = given(&format!("1{}", "+1".repeat(200))).unwrap_err();
    assert_eq!(deep, "refused: it is nested deeper than 100 levels");
    assert_eq!(given(&format!("1{}", "+1".repeat(90))).unwrap(), "91");
    let long = given(&format!("'{}'", "x".repeat(LONGEST))).unwrap_err();
    assert!(long.contains("at most 10000"), "{long}");
}

/// Each would take hours, or all memory, if nothing counted.
#[test]
fn none_runs_away() {
    let object = json!({ "l": vec!["x".repeat(100); 3000], "s": "y".repeat(1_000_000) });
    for text in [
        "self.l.all(a, self.l.all(b, self.l.all(c, a == b)))",
        "self.l.map(a, self.l.map(b, self.l)).size() > 0",
        "self.l.all(x, self == oldSelf)",
        "self.l.map(x, self.s + self.s).size() == 0",
        "self.s.replace('', self.s).size() == 0",
        "self.l.map(x, self.s.matches('(y+)+$')).size() == 0",
        "self.l.all(x, self.s.matches(x + self.s) || true)",
        "self.s.split('').map(x, self.s.split('')).size() == 0",
        "self.l.map(x, '%s%s'.format([self, self])).size() == 0",
        "self.l.map(x, self.s).join(self.s).size() == 0",
        "self.l.all(x, self.l.all(y, self.l.indexOf('z') == 0 || true))",
        "self.l.all(x, self.s.upperAscii().size() > 0)",
        "self.l.all(x, (self.s < self.s) || true)",
        "self.l.all(x, self.s in self.l || true) && self.l.all(y, y in self.l && self.l + self.l == self.l || true)",
        "self.l.all(x, url('/?' + self.s).getQuery().size() > 0)",
        "[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c, \
         [1,2,3,4,5,6,7,8,9].all(d, [1,2,3,4,5,6,7,8,9].all(e, [1,2,3,4,5,6,7,8,9].all(f, \
         [1,2,3,4,5,6,7,8,9].all(g, a + b + c + d + e + f + g > 0 )))))))",
    ] {
        let found = attempt(text, &json!({}), &object).unwrap_err();
        assert_eq!(found, Fail::Exhausted.told(), "{text}");
    }
}
