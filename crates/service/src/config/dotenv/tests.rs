use std::fmt::Write as _;
use std::process::{Command, Stdio};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value as Json, json};

use super::*;

fn outside() -> Vec<(String, String)> {
    [("OUTSIDE", "from outside"), ("BOTH", "outside wins")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

#[test]
fn files_are_read_as_python_dotenv_reads_them() {
    type Case = (&'static str, &'static [(&'static str, &'static str)]);
    // The right sides are python-dotenv 1.2.4's.
    let cases: &[Case] = &[
        ("", &[]),
        ("A=ka$fka9:9092", &[("A", "ka$fka9:9092")]),
        ("A=${KAFKA_HOST:-localhost}:9092", &[("A", "localhost:9092")]),
        ("A=${KAFKA_HOST}:9092", &[("A", ":9092")]),
        ("A=1\nB=${A}2\nA=3", &[("A", "3"), ("B", "12")]),
        ("A=${OUTSIDE}", &[("A", "from outside")]),
        ("BOTH=here\nA=${BOTH}", &[("A", "outside wins"), ("BOTH", "here")]),
        ("A='${B:-x}'\nC=\"${A}\"", &[("A", "x"), ("C", "x")]),
        ("A=${B:x}${", &[("A", "${B:x}${")]),
        ("A=${x${y}}", &[("A", "}")]),
        ("A=#trips", &[("A", "#trips")]),
        ("A= #trips", &[("A", "")]),
        ("A=a#b #c", &[("A", "a#b")]),
        ("A=pkc:9092  # don't change\nB=2\nC='3'", &[("A", "pkc:9092"), ("B", "2"), ("C", "3")]),
        ("\u{feff}A=1", &[("A", "1")]),
        ("A=My App", &[("A", "My App")]),
        ("A=a:9092, b:9092", &[("A", "a:9092, b:9092")]),
        ("A=C:\\kafka\\ca.pem", &[("A", "C:\\kafka\\ca.pem")]),
        ("A={\"a\": 1}", &[("A", "{\"a\": 1}")]),
        ("schema-registry.url=x", &[("schema-registry.url", "x")]),
        ("JUST_A_NAME\nB=1", &[("B", "1")]),
        ("A=1\nA", &[]),
        ("  export  A = 1 ", &[("A", "1")]),
        ("export=1", &[("export", "1")]),
        ("'my name'=1", &[("my name", "1")]),
        ("A='it\\'s' # so", &[("A", "it's")]),
        ("A=\"a\\n\\t\\\"\\\\n\\q\"", &[("A", "a\n\t\"\\n\\q")]),
        ("A='a\\n'", &[("A", "a\\n")]),
        ("A=\"two\nlines\"\nB=1", &[("A", "two\nlines"), ("B", "1")]),
        ("A=1\r\nB=2\rC=3", &[("A", "1"), ("B", "2"), ("C", "3")]),
        ("A=", &[("A", "")]),
        ("# A=1", &[]),
        ("A=\u{a0}1\u{2003}", &[("A", "1")]),
    ];
    for (text, expected) in cases {
        let file = parse(text, &outside());
        let expected = expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        assert_eq!(file, EnvFile { variables: expected, unreadable: vec![] }, "{text:?}");
    }
}

#[test]
fn what_can_t_be_read_is_passed_over_and_its_line_told() {
    for (text, unreadable, names) in [
        ("A=1\n\n=2\nB=3", &[3][..], &["A", "B"][..]),
        ("A='1\nB=2", &[1], &["B"]),
        ("A='1' 2\nB=3", &[1], &["B"]),
        ("A=\"1\n2\" 3\nB=4", &[1], &["B"]),
        ("A B=1\nC=1", &[1], &["C"]),
        ("''=1", &[1], &[]),
    ] {
        let file = parse(text, &[]);
        assert_eq!(file.unreadable, unreadable, "{text:?}");
        assert_eq!(file.variables.keys().collect::<Vec<_>>(), names, "{text:?}");
    }
}

/// What files are made of at random: all that the grammar knows, and lines as people have them.
const PIECES: [&str; 58] = [
    "A",
    "B",
    "OUTSIDE",
    "BOTH",
    "NEW",
    "basic_auth.user_info",
    "schema-registry.url",
    "=",
    "=",
    "=",
    "=",
    "\n",
    "\n",
    "\n",
    "\r\n",
    "\r",
    "\n\n",
    " ",
    "  ",
    "\t",
    "\u{b}",
    "\u{1d}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "#",
    " # ",
    "#x",
    "'",
    "'",
    "\"",
    "\"",
    "\\",
    "\\\\",
    "\\'",
    "\\\"",
    "\\n",
    "\\t",
    "\\u00e9",
    "\\x41",
    "\\0",
    "$",
    "${A}",
    "${B:-b}",
    "${OUTSIDE}",
    "${BOTH:-x}",
    "${",
    "}",
    ":-",
    ":",
    "export ",
    "export",
    "localhost:9092",
    "don't",
    "a, b",
    "{\"a\": 1}",
    "\u{fc}\u{1f697}",
    "\u{feff}",
];

fn random_file(rng: &mut StdRng) -> String {
    let mut text = String::new();
    if rng.random_bool(0.05) {
        text.push('\u{feff}');
    }
    for _ in 0..rng.random_range(0..12) {
        if rng.random_bool(0.6) {
            // A line that begins well goes deeper into the grammar.
            let quote = ["", "", "'", "\""].choose(rng).expect("one of four");
            let name = PIECES[..7].choose(rng).expect("a name");
            let value: String =
                (0..rng.random_range(0..5)).filter_map(|_| PIECES.choose(rng)).copied().collect();
            let _ = write!(text, "{name}={quote}{value}{quote}");
            text.push_str(["\n", "\n", " # c\n", "\r\n"].choose(rng).expect("an end"));
        } else {
            text.extend((0..rng.random_range(0..6)).filter_map(|_| PIECES.choose(rng)).copied());
        }
    }
    text
}

/// Reads texts from its input as `load_dotenv` reads files, in the environment that it is told.
const ORACLE: &str = r"
import io, json, logging, os, sys
from dotenv.main import DotEnv
logging.disable()
told = json.load(sys.stdin)
os.environ.clear()
os.environ.update(told['environment'])
def read(text):
    values = DotEnv(None, stream=io.StringIO(text, newline=None), override=False, encoding='utf-8').dict()
    return {name: value for name, value in values.items() if value is not None}
json.dump([read(text) for text in told['texts']], sys.stdout)
";

#[test]
#[ignore = "needs python-dotenv: make test-python"]
fn random_files_are_read_as_python_dotenv_reads_them() {
    let python = std::env::var("TRIPSTREAM_TEST_PYTHON").expect("a Python that has python-dotenv");
    let count = std::env::var("TRIPSTREAM_TEST_RUNS")
        .map_or(10_000, |runs| runs.parse().expect("a number"));
    let seed = std::env::var("TRIPSTREAM_TEST_SEED")
        .map_or_else(|_| rand::random(), |s| s.parse().expect("a number"));
    let mut rng = StdRng::seed_from_u64(seed);
    let texts: Vec<String> = (0..count).map(|_| random_file(&mut rng)).collect();
    let environment: BTreeMap<String, String> = outside().into_iter().collect();

    let mut oracle = Command::new(python)
        .args(["-c", ORACLE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let told = json!({ "texts": texts, "environment": environment });
    serde_json::to_writer(oracle.stdin.take().expect("a pipe"), &told).expect("Python listens");
    let answer = oracle.wait_with_output().expect("Python ends");
    assert!(answer.status.success(), "the oracle failed: {}", answer.status);
    let expected: Vec<BTreeMap<String, String>> =
        serde_json::from_slice(&answer.stdout).expect("JSON as asked for");

    assert_eq!(expected.len(), texts.len());
    assert!(
        expected.iter().filter(|file| file.len() > 1).count() > texts.len() / 4,
        "hardly a file sets anything"
    );
    for (text, expected) in texts.iter().zip(expected) {
        let ours = parse(text, &outside()).variables;
        assert_eq!(ours, expected, "seed {seed}: {}", Json::from(text.as_str()));
    }
}
