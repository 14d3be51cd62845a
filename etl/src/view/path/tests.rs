use model::document::Tape;

use super::*;
use crate::reference::Directory;
use std::ops::ControlFlow::Continue;

const RESOURCE: &str = r#"{"resourceType":"Patient","id":"7","name":[{"use":"old","given":["A"]},{"use":"usual","given":["B","C"]}],
    "subject":{"reference":"http://s/Patient/p1/_history/2"},"valueQuantity":{"value":1.50},"onsetPeriod":{"start":"2024"},
    "extension":[{"url":"u","extension":[{"url":"v","valueCoding":{"code":"x"}}]}],"active":true,"birthDate":"1980-02",
    "count":3,"word":"Été au lac","contained":[{"resourceType":"Group","id":"g"}],"nothing":null,"odd name":1}"#;

fn eval_as(path: &str, expected: Option<DataType>) -> String {
    let mut tape = Tape::default();
    let element = tape.parse(RESOURCE).unwrap();
    let directory = Directory::default();
    let references = References::new(&directory, "s", None, None);
    let fault = Cell::new(None);
    let scope = Scope { id: "7", references: &references };
    let context = Context { root: element, scope, row_index: 4, fault: &fault };
    let constants = [
        ("use".to_owned(), Literal::Text("usual".into(), DataType::STRING)),
        ("second".to_owned(), Literal::Integer(1)),
        ("day".to_owned(), Literal::Text("1980-02-03".into(), DataType::DATE)),
    ];
    let names = Names { resource_type: "Patient", constants: &constants, expected };
    let path = Path::compile(path, names).unwrap();
    let render = |item: Item<'_>| match item {
        Item::Element(element, _) if element.as_str().is_none() => element.text().to_owned(),
        item => item.into_text().unwrap().into_owned(),
    };
    let mut told = Vec::new();
    let _ = path.visit(Some(&Item::Element(element, None)), &context, &mut |item| {
        told.push(render(item));
        Continue(())
    });
    let told = told.join(",") + &fault.take().map_or(String::new(), |fault| format!(" ({})", fault.reason()));
    // A shortcut finds what the chain finds.
    let item = Some(Item::Element(element, None));
    let by_chain = (path.chain.single(item.as_ref(), &context).map(render), fault.take());
    assert_eq!(
        (path.single(item.as_ref(), &context, &mut Trail::default()).map(render), fault.take()),
        by_chain,
        "{path:?}"
    );
    told
}

fn eval(path: &str) -> String {
    eval_as(path, None)
}

#[track_caller]
fn assert_finds(cases: &[(&str, &str)]) {
    for (path, found) in cases {
        assert_eq!(eval(path), *found, "{path}");
    }
}

/// Where no shortcut is taken, the test above compares the chain with itself.
#[test]
fn plain_paths_have_a_shortcut_and_others_do_not() {
    let has_shortcut = |path: &str| Path::compile(path, Names::default()).unwrap().shortcut.is_some();
    for path in
        ["id", "name.first().given[0]", "value.ofType(Quantity).value", "(a | b.c).first()", "a.getReferenceKey()"]
    {
        assert!(has_shortcut(path), "{path}");
    }
    for path in ["name.count()", "name[1]", "a | b", "(a | b).first().c", "a.where(b).c", "%rowIndex", "'x'"] {
        assert!(!has_shortcut(path), "{path}");
    }
}

/// What asks an operand twice at every level would take longer than anybody waits.
#[test]
fn operators_upon_operators_take_no_longer_than_they_are() {
    assert_eq!(eval(&format!("active{}", " is Boolean".repeat(150))), "true");
    assert_eq!(eval(&format!("active{}", ".is(boolean)".repeat(150))), "true");
    let mut path = "1 | 2".to_owned();
    for _ in 0..18 {
        path = format!("(({path}) = (1 | 2)) | 3");
    }
    assert_eq!(eval(&path), "false,3");
}

#[test]
fn paths_that_begin_alike_find_what_each_finds_alone() {
    let record = r#"{"a":{"b":[{"c":"1","d":"2"}],"e":null,"f":["5","6"],"g":[]},"valueQuantity":{"value":7},
        "reference":"Patient/8","h":[{"c":"9"},{"c":"10"}],"i":{"b":{"c":"11"}},"a1":{"a2":{"a3":{"a4":{"a5":{"a6":
        {"a7":{"a8":{"a9":"12","a0":"13"}}}}}}}}}"#;
    let deep = "a1.a2.a3.a4.a5.a6.a7.a8";
    let (deepest, beside) = (format!("{deep}.a9"), format!("{deep}.a0"));
    let paths = [
        "a.b.c",
        "a.b.d",
        "a.b.x",
        "a.b.x.c",
        "a.b.first().c",
        "a.e.c",
        "a.e",
        "a.f",
        "a.f.first()",
        "a.g.c",
        "a",
        "x.c",
        "x.d",
        "h.c",
        "h.first().c",
        "h.d",
        "i.b.c",
        "value.ofType(Quantity).value",
        "value.ofType(Quantity).unit",
        "value.ofType(Period).start",
        "(x | a.b.c).first()",
        "getReferenceKey(Patient)",
        "a.count()",
        deep,
        &deepest,
        &beside,
    ];
    let mut tape = Tape::default();
    let root = tape.parse(record).unwrap();
    let directory = Directory::default();
    let references = References::new(&directory, "s", None, None);
    let fault = Cell::new(None);
    let context = Context { root, scope: Scope { id: "7", references: &references }, row_index: 0, fault: &fault };
    let focus = Item::Element(root, None);
    let mut shared = 0;
    for first in paths {
        for second in paths {
            for third in paths {
                let mut line = [first, second, third].map(|path| Path::compile(path, Names::default()).unwrap());
                for at in [1, 2] {
                    let (before, behind) = line.split_at_mut(at);
                    behind[0].comes_after(&before[at - 1]);
                }
                shared += line.iter().filter_map(|path| path.shortcut.as_ref()).map(Shortcut::shared).sum::<usize>();
                let mut trail = Trail::default();
                for path in &line {
                    let render = |item: Item<'_>| match item {
                        Item::Element(element, of) => format!("{} {of:?}", element.position()),
                        item => format!("{item:?}"),
                    };
                    let told = |item: Option<Item<'_>>| (item.map(render), fault.take());
                    let alone = told(path.chain.single(Some(&focus), &context));
                    assert_eq!(
                        told(path.single(Some(&focus), &context, &mut trail)),
                        alone,
                        "{first} {second} {third}"
                    );
                }
            }
        }
    }
    assert!(shared > 10_000, "{shared} hops are shared");
}

#[test]
fn a_shortcut_gives_way_where_there_is_a_choice() {
    assert_finds(&[
        ("name.given.first()", "A"),
        ("name.first().given", "A"),
        ("name.use", "old,usual"),
        ("(nothing | name.use | id).first()", "old"),
        ("(nothing | birthDate | id).first()", "1980-02"),
        ("nothing.first()", ""),
        ("active.ofType(boolean)", "true"),
        ("subject.getReferenceKey(Group)", ""),
        ("subject.getReferenceKey(Patient).first()", "p1"),
        ("id.first().first()", "7"),
    ]);
}

#[test]
fn paths_find_what_they_name() {
    assert_finds(&[
        ("id", "7"),
        ("Patient.id", "7"),
        ("`odd name`", "1"),
        ("name.given", "A,B,C"),
        ("name.first().given", "A"),
        ("name[1].given[1]", "C"),
        ("name[%second].given[count - 2]", "C"),
        ("name[9].given", ""),
        ("name[-1].given", ""),
        ("name.where(use = 'usual').given.join(' ')", "B C"),
        ("name.where(use = %use).given.last()", "C"),
        ("name.given.join()", "ABC"),
        ("missing.join(', ') = ''", "true"),
        ("name.given.count()", "3"),
        ("name.given.skip(1)", "B,C"),
        ("name.given.take(2)", "A,B"),
        ("name.given.take(2).first()", "A"),
        ("name.given.tail().exists($this = 'C')", "true"),
        ("name.select(use)", "old,usual"),
        ("name.exists()", "true"),
        ("name.exists(use = 'old')", "true"),
        ("name.all(given.exists())", "true"),
        ("missing.exists()", "false"),
        ("missing.empty()", "true"),
        ("nothing.empty()", "true"),
        ("missing.count()", "0"),
        ("name.where(false)", ""),
        ("subject.getReferenceKey(Patient)", "p1"),
        ("subject.getReferenceKey(FHIR.Patient)", "p1"),
        ("subject.getReferenceKey(Group)", ""),
        ("subject.getReferenceKey()", "p1"),
        ("getResourceKey()", "7"),
        ("name.getResourceKey()", ""),
        ("contained.ofType(Group).id", "g"),
        ("contained.ofType(Device).id", ""),
        ("value.ofType(Quantity).value", "1.50"),
        ("(value as Quantity).value", "1.50"),
        ("value.ofType(string)", ""),
        ("value.where(true).ofType(Quantity).value", "1.50"),
        ("value.where(true).ofType(Range).low", ""),
        ("value.value", "1.50"),
        ("value is Quantity", "true"),
        ("value is Range", "false"),
        ("active.ofType(boolean)", "true"),
        ("active.ofType(string)", ""),
        ("(onset.ofType(dateTime) | onset.ofType(Period).start).first()", "2024"),
        ("(name.given | name.given | 'D')", "A,B,C,D"),
        ("extension('u').extension('v').value.ofType(Coding).first().code", "x"),
        ("extension('w').value.ofType(Coding).code", ""),
        ("%rowIndex", "4"),
        ("name.where(%context.id = '7').use", "old,usual"),
        ("missing.thing", ""),
        ("id.thing", ""),
        ("{}", ""),
        ("name.given.distinct().count()", "3"),
        ("name.isDistinct()", "true"),
        ("iif(active, 'yes', 'no')", "yes"),
        ("iif(missing, 'yes')", ""),
    ]);
}

#[test]
fn logic_has_three_values() {
    let values = ["true", "false", "{}"];
    let table = |operator: &str| {
        let row = |a: &str| values.map(|b| eval(&format!("{a} {operator} {b}"))).join(" ");
        values.map(row).join("/")
    };
    assert_eq!(table("and"), "true false /false false false/ false ");
    assert_eq!(table("or"), "true true true/true false /true  ");
    assert_eq!(table("xor"), "false true /true false /  ");
    assert_eq!(table("implies"), "true false /true true true/true  ");
    assert_finds(&[
        ("(id = '7').not()", "false"),
        ("missing.not()", ""),
        ("true or false and false", "true"),
        ("1 = 1 and 'a' in name.given or false", "false"),
        ("'A' in name.given", "true"),
        ("name.given contains 'Z'", "false"),
    ]);
}

#[test]
fn values_compare_by_what_they_mean() {
    assert_finds(&[
        ("valueQuantity.value = 1.5", "true"),
        ("count > 2.5", "true"),
        ("count >= 3 and count <= 3 and count < 4", "true"),
        ("count = '3'", "false"),
        ("count != 4", "true"),
        ("missing = 1", ""),
        ("birthDate = @1980-02", "true"),
        ("birthDate = %day", ""),
        ("birthDate < @1980-03-01", "true"),
        ("birthDate < %day", ""),
        ("@2024-05-17T08:00:00+02:00 = @2024-05-17T06:00:00Z", "true"),
        ("@T08:30 < @T09:00", "true"),
        ("'a' < 'b'", "true"),
        ("name.given = name.given", "true"),
        ("name.given = 'A'", "false"),
        ("name.given ~ ('C' | 'b' | 'a')", "true"),
        ("'A  b' ~ 'a B'", "true"),
        ("name[0] = name[0]", "true"),
        ("name[0] = name[1]", "false"),
        ("active = true", "true"),
        ("name.given < 'B'", "true (more_than_one_value)"),
    ]);
}

#[test]
fn numbers_are_exact() {
    assert_finds(&[
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("0.1 + 0.2", "0.3"),
        ("3 / 2", "1.5"),
        ("1 / 0", ""),
        ("7 div 2", "3"),
        ("7 mod 2.5", "2"),
        ("-count + 1", "-2"),
        ("valueQuantity.value - 1", "0.50"),
        ("missing + 1", ""),
        ("'a' + 'b'", "ab"),
        ("'a' + 1", ""),
        ("'a' & missing & 'b'", "ab"),
        ("(-1.5).abs()", "1.5"),
        ("1.2.ceiling()", "2"),
        ("(-1.2).floor()", "-2"),
        ("1.25.round(1)", "1.3"),
        ("(-1.9).truncate()", "-1"),
        ("9223372036854775807 + 1", ""),
    ]);
}

#[test]
fn texts_and_conversions() {
    assert_finds(&[
        ("word.upper()", "ÉTÉ AU LAC"),
        ("word.lower()", "été au lac"),
        ("word.length()", "10"),
        ("word.startsWith('Ét')", "true"),
        ("word.endsWith('x')", "false"),
        ("word.contains('au')", "true"),
        ("word.indexOf('au')", "4"),
        ("word.indexOf('x')", "-1"),
        ("word.substring(4, 2)", "au"),
        ("word.substring(99)", ""),
        ("word.replace('au', 'du')", "Été du lac"),
        ("' a '.trim()", "a"),
        ("count.toString()", "3"),
        ("'12'.toInteger()", "12"),
        ("'x'.toInteger()", ""),
        ("'1.50'.toDecimal()", "1.50"),
        ("'Yes'.toBoolean()", "true"),
        ("'2024-05-17T08:00:00Z'.toDate()", "2024-05-17"),
        ("'2024-05'.toDateTime() > @2023", "true"),
        ("'08:30'.toTime()", "08:30"),
        ("name.hasValue()", "false (more_than_one_value)"),
        ("name.given.upper()", "A (more_than_one_value)"),
    ]);
}

#[test]
fn boundaries_know_the_type_from_the_value_the_path_or_the_column() {
    assert_finds(&[
        ("valueQuantity.value.lowBoundary()", "1.495"),
        ("valueQuantity.value.highBoundary(2)", "1.51"),
        ("birthDate.highBoundary()", "1980-02-29"),
        ("onset.ofType(Period).start.lowBoundary()", "2024-01-01T00:00:00.000+14:00"),
        ("@T08:30.highBoundary()", "08:30:59.999"),
        ("active.lowBoundary()", ""),
    ]);
    assert_eq!(eval_as("onsetPeriod.start.lowBoundary()", Some(DataType::DATE)), "2024-01-01");
}

#[test]
fn paths_tell_their_type() {
    for (path, of) in [
        ("name.exists()", Some("boolean")),
        ("birthDate", Some("date")),
        ("name.given.count()", Some("integer")),
        ("value.ofType(Quantity).value", None),
        ("value.ofType(dateTime)", Some("dateTime")),
        ("(onset.ofType(dateTime) | effective.ofType(dateTime)).first()", Some("dateTime")),
        ("id.upper()", Some("string")),
        ("a / b", Some("decimal")),
        ("1 + 1", Some("integer")),
        ("a + b", None),
        ("a = b", Some("boolean")),
        ("%rowIndex", Some("integer")),
        ("name.family", None),
        ("birthDate.lowBoundary()", Some("date")),
    ] {
        let found = Path::compile(path, Names::default()).unwrap().data_type().map(DataType::name);
        assert_eq!(found, of, "{path}");
    }
}

#[test]
fn the_type_of_a_long_sum_is_found_in_one_walk() {
    let sum = |term: &str| format!("{term}{}", format!(" + {term}").repeat(150));
    let found = |path: &str| Path::compile(path, Names::default()).unwrap().data_type().map(DataType::name);
    assert_eq!(found(&sum("a")), None);
    assert_eq!(found(&sum("'a'")), Some("string"));
}

#[test]
fn what_is_not_understood_is_said() {
    let deep = format!("{}1{}", "(".repeat(50), ")".repeat(50));
    let long = "1 + ".repeat(300) + "1";
    for (path, message) in [
        ("", "`` ends too early"),
        ("name.", "`name.` ends too early"),
        ("name.given]", "unexpected `]` at 10 of `name.given]`"),
        ("name given", "unexpected `g` at 5 of `name given`"),
        ("name.capital()", "function `capital` is not known at 5 of `name.capital()`"),
        ("name.exists(1, 2)", "`exists` takes at most 1 argument at 5 of `name.exists(1, 2)`"),
        ("name.first(1)", "`first` takes no argument at 5 of `name.first(1)`"),
        ("id.substring()", "`substring` takes 1 or 2 arguments at 3 of `id.substring()`"),
        ("id.upper(1)", "`upper` takes no argument at 3 of `id.upper(1)`"),
        ("name['x']", "expected a whole number in brackets at 5 of `name['x']`"),
        ("value.ofType(quantity2)", "there is no type `quantity2` at 13 of `value.ofType(quantity2)`"),
        ("extension(url)", "expected a text in `extension` at 0 of `extension(url)`"),
        ("name.join(1)", "expected a text in `join` at 5 of `name.join(1)`"),
        ("a = 4 'mg'", "a quantity is not supported here at 4 of `a = 4 'mg'`"),
        ("a + 1 year", "a quantity is not supported here at 4 of `a + 1 year`"),
        ("%other", "there is no constant `%other` at 0 of `%other`"),
        ("name.where($index > 0)", "`$index` is not supported at 11 of `name.where($index > 0)`"),
        ("@@", "expected a date or time behind `@` at 0 of `@@`"),
        ("iif(a)", "`iif` takes 2 or 3 arguments at 3 of `iif(a)`"),
    ] {
        assert_eq!(Path::compile(path, Names::default()).unwrap_err(), message);
    }
    let deep = Path::compile(&deep, Names::default()).unwrap_err();
    assert!(deep.starts_with("nested deeper than 40 levels at"), "{deep}");
    let long = Path::compile(&long, Names::default()).unwrap_err();
    assert!(long.starts_with("more than 200 operators and functions at"), "{long}");
}
