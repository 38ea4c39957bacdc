//! What machines cost: a file that people write.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;

use archtrace_facts::cost::{Price, PriceTable, is_currency};
use serde::Deserialize;
use toml::Spanned;

use crate::failure::Failure;

/// Bytes of a table: EC2 has some 1,000 kinds of machines, which take 60 kB.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    currency: Spanned<String>,
    machines: BTreeMap<String, Spanned<Machine>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Machine {
    per_hour: f64,
    cpus: u32,
}

/// Reads the table.
pub(crate) fn read(path: &Path) -> Result<PriceTable, Failure> {
    let failed = |place: String, what: &str| Failure::Prices {
        place,
        what: what.to_owned(),
    };
    let mut text = String::new();
    let read = File::open(path).and_then(|file| {
        let mut file = file.take(MAX_BYTES + 1);
        file.read_to_string(&mut text)
    });
    let name = path.display();
    match read {
        Ok(bytes) if u64::try_from(bytes).is_ok_and(|bytes| bytes <= MAX_BYTES) => {}
        Ok(_) => {
            let what = format!("a file of more than {MAX_BYTES} bytes is no price table");
            return Err(failed(name.to_string(), &what));
        }
        Err(error) => return Err(failed(name.to_string(), &error.to_string())),
    }
    parse(&text).map_err(|(line, what)| failed(format!("{name}:{line}"), &what))
}

/// Reads the text, or tells in which line what is wrong.
fn parse(text: &str) -> Result<PriceTable, (usize, String)> {
    let line = |span: Option<Range<usize>>| {
        let before = span.and_then(|span| text.get(..span.start));
        before.map_or(1, |before| before.matches('\n').count() + 1)
    };
    let table: Table = toml::from_str(text).map_err(|error| {
        let what = error.message().replace('\n', " ");
        (line(error.span()), what)
    })?;
    let currency = table.currency.get_ref();
    if !is_currency(currency) {
        let what = "a currency is a word such as \"USD\"".to_owned();
        return Err((line(Some(table.currency.span())), what));
    }
    if table.machines.len() > PriceTable::MOST {
        let what = format!("more than {} machines are no price table", PriceTable::MOST);
        return Err((1, what));
    }
    let mut prices = BTreeMap::new();
    for (kind, machine) in &table.machines {
        let at = line(Some(machine.span()));
        if kind.is_empty() {
            return Err((at, "a machine has a name, such as \"m7g.large\"".to_owned()));
        }
        let Machine { per_hour, cpus } = machine.get_ref();
        let price = Price::new(*per_hour, *cpus);
        let price = price.map_err(|error| (at, format!("machine '{kind}': {error}")))?;
        prices.insert(kind.clone(), price);
    }
    Ok(PriceTable {
        currency: currency.clone(),
        prices,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read() {
        let table = parse(
            "currency = \"EUR\" # net\n[machines]\nhome = { per_hour = 1, cpus = 8 }\n\
             [machines.\"m7g.large\"]\nper_hour = 0.0816\ncpus = 2\n",
        );
        let table = table.expect("a table");
        assert_eq!(table.currency, "EUR");
        let price = |per_hour, cpus| Price::new(per_hour, cpus).expect("a price");
        let prices = [
            ("home".to_owned(), price(1.0, 8)),
            ("m7g.large".to_owned(), price(0.0816, 2)),
        ];
        assert_eq!(table.prices, prices.into());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, at, part) in [
            ("", 1, "missing field `currency`"),
            ("currency = \"USD\"\n", 1, "missing field `machines`"),
            ("currency = \"US D\"\n[machines]", 1, "a currency is a word"),
            ("currency = USD\n", 1, ""),
            (
                "currency = \"USD\"\n\n[machines.x]\nper_hour = 1.0\n",
                3,
                "missing field `cpus`",
            ),
            (
                "currency = \"USD\"\n[machines.x]\nper_hour = 1.0\ncpu = 2\n",
                4,
                "unknown field `cpu`",
            ),
            (
                "currency = \"USD\"\n[machines]\na = { per_hour = 1.0, cpus = 1 }\n\
                 b = { per_hour = 0, cpus = 1 }\n",
                4,
                "machine 'b': a price is a number above 0",
            ),
            (
                "currency = \"USD\"\n[machines]\na = { per_hour = 1.0, cpus = 0 }\n",
                3,
                "from 1 to 4096 CPUs",
            ),
            (
                "currency = \"USD\"\n[machines.x]\nper_hour = \"1\"\ncpus = 2\n",
                3,
                "expected f64",
            ),
            (
                "currency = \"USD\"\n[machines.x]\nper_hour = 1.0\ncpus = 2\n[machines.x]\n",
                5,
                "",
            ),
        ] {
            let (line, what) = parse(text).expect_err(text);
            assert_eq!(line, at, "{text}: {what}");
            assert!(what.contains(part), "{text}: {what}");
        }
    }
}
