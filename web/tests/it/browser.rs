//! What people see, and do with a keyboard, in a real browser.

use serde_json::{Value, json};

use crate::driver::Browser;
use crate::fleet::{HOSTILE, event, node_name};
use crate::server::Server;

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

fn url(server: &Server, path: &str) -> String {
    format!("http://{}{path}", server.address)
}

/// Whether the page is wider than its window: then it would have to be moved to and fro to be read.
const IS_TOO_WIDE: &str =
    "return document.documentElement.scrollWidth > document.documentElement.clientWidth";

/// The lowest contrast of any text with what is behind it (WCAG 2.2, 1.4.3), and which text.
const WORST_CONTRAST: &str = r#"
  const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = numbers(colour).map((v) => v / 255).map(
      (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (numbers(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  let worst = [99, ""];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || element.closest("template, noscript, svg, [hidden]")) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < worst[0]) worst = [contrast, element.outerHTML];
  }
  return worst;
"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_view_can_be_read_in_any_colours_and_width() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let server = Server::start().await;
    let node = format!("/node?cluster=prod&name={}", node_name(0));
    let workload = "/workload?cluster=prod&namespace=team-3&name=Deployment%2Fservice-3";
    for (name, path) in [
        ("fleet", "/"),
        ("findings", "/findings"),
        ("emulated", "/emulated"),
        ("workloads", "/workloads"),
        ("workload", workload),
        ("nodes", "/nodes"),
        ("node", &node),
        ("events", "/events"),
        ("coverage", "/coverage"),
        ("coverage-arch", "/coverage?by=arch"),
        ("covered", "/coverage/nodes"),
        ("covered-agent", "/coverage/nodes?agent=auditd&status=all"),
    ] {
        for (scheme, width) in [
            ("light", 1280),
            ("dark", 1280),
            ("light", 360),
            ("dark", 360),
        ] {
            browser.resize(width, 800).await;
            browser.colours(scheme).await;
            browser.go(&url(&server, path)).await;
            let what = format!("{name}-{scheme}-{width}");
            browser.picture(&what).await;
            let [contrast, text] = [0, 1]
                .map(|i| WORST_CONTRAST.replace("return worst", &format!("return worst[{i}]")));
            let contrast = browser.run(&contrast).await.as_f64().expect("a number");
            assert!(
                contrast >= 4.5,
                "{what}: {contrast}: {}",
                browser.run(&text).await
            );
            assert_eq!(
                browser.run(IS_TOO_WIDE).await,
                json!(false),
                "{what} is too wide"
            );
            let heads = "return document.querySelectorAll('h1').length";
            assert_eq!(browser.run(heads).await, json!(1), "{what}");
        }
    }
    // A policy that is broken, a script that fails, a file that is missing.
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    let alert = "return document.querySelectorAll('script:not([src])').length";
    assert_eq!(browser.run(alert).await, json!(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyboard_is_enough() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let server = Server::start().await;
    browser.go(&url(&server, "/")).await;
    let focused = "return document.activeElement.textContent.trim()";
    let mut seen = Vec::new();
    for _ in 0..5 {
        browser.press(TAB).await;
        seen.push(browser.run(focused).await);
    }
    let expected = [
        "Skip to the content",
        "archtrace",
        "Fleet",
        "Findings",
        "Emulated",
    ];
    assert_eq!(seen, expected.map(Value::from));
    let outline = "return getComputedStyle(document.activeElement).outlineStyle";
    assert_eq!(
        browser.run(outline).await,
        json!("solid"),
        "it is seen where one is"
    );
    browser.press(ENTER).await;
    browser
        .until(
            "at what is emulated",
            "return location.pathname === '/emulated'",
        )
        .await;
    let here = "return document.querySelector('[aria-current=page]').textContent";
    assert_eq!(browser.run(here).await, json!("Emulated"));
    // Past the navigation, then into the table, whose first link is that of a workload.
    browser.press(TAB).await;
    browser.press(ENTER).await;
    let is_in_main = "return document.activeElement.id === 'main'";
    browser.until("in the content", is_in_main).await;
    browser.press(TAB).await;
    let region = "return document.activeElement.getAttribute('role')";
    assert_eq!(
        browser.run(region).await,
        json!("region"),
        "a wide table can be moved by keys"
    );
    browser.press(TAB).await;
    browser.press(ENTER).await;
    browser
        .until("at a workload", "return location.pathname === '/workload'")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_all_agents_to_one_on_one_node_by_keyboard() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let server = Server::start().await;
    browser.go(&url(&server, "/coverage")).await;
    let focus = |what: &str| format!("document.querySelector({}).focus()", json!(what));
    // The worst agent, in the table; then what is to be seen of it, and one of its nodes.
    browser.run(&focus("tbody th a")).await;
    browser.press(ENTER).await;
    let at = |path: &str| format!("return location.pathname === {}", json!(path));
    let at_one = "return new URLSearchParams(location.search).has('agent')";
    browser.until("at an agent", at_one).await;
    let rows = "return document.querySelectorAll('tbody tr').length";
    let others = browser.run(rows).await.as_u64().expect("a number");
    browser
        .run(&focus("nav[aria-label=Status] li:nth-of-type(3) a"))
        .await;
    let here = "return document.activeElement.textContent.startsWith('all ')";
    assert_eq!(browser.run(here).await, json!(true), "all statuses");
    browser.press(ENTER).await;
    let all = "return location.search.includes('status=all')";
    browser.until("at all of its nodes", all).await;
    let all = browser.run(rows).await.as_u64().expect("a number");
    assert!(
        all >= others && all > 1,
        "{all} of them, {others} not native"
    );
    browser.run(&focus("tbody th a")).await;
    browser.press(ENTER).await;
    browser.until("at a node", &at("/node")).await;
    let section = "return document.getElementById('agents').textContent";
    assert_eq!(
        browser.run(section).await,
        json!("Agents that have to run here")
    );
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_policy_it_is_said_what_to_do() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let server = Server::empty().await;
    for (scheme, width) in [("light", 1280), ("dark", 360)] {
        browser.resize(width, 800).await;
        browser.colours(scheme).await;
        browser.go(&url(&server, "/coverage")).await;
        browser
            .picture(&format!("no-policy-{scheme}-{width}"))
            .await;
        assert_eq!(browser.run(IS_TOO_WIDE).await, json!(false), "{width}");
        let text = browser.run("return document.body.innerText").await;
        let text = text.as_str().expect("text");
        for expected in ["There is no policy", "--policy", "check-policy"] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_in_live_and_can_be_paused() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let server = Server::start().await;
    browser.go(&url(&server, "/events")).await;
    let state = "return document.getElementById('live-state').textContent.startsWith('live')";
    browser.until("live", state).await;
    let before = browser
        .run("return document.querySelectorAll('#events tr').length")
        .await;
    server.tell(vec![event("/bin/<b>new</b>")]).await;
    let first =
        "return document.querySelector('#events tr code').textContent === '/bin/<b>new</b>'";
    browser.until("the new event on top, as text", first).await;
    let rows = "return document.querySelectorAll('#events tr').length";
    let before = before.as_u64().expect("a number");
    assert_eq!(
        browser.run(rows).await,
        json!(before + 1),
        "none is shown twice"
    );
    let hostile = format!(
        "return document.body.innerText.includes({})",
        json!(HOSTILE)
    );
    assert_eq!(browser.run(&hostile).await, json!(true));
    browser.picture("live").await;
    browser
        .run("document.getElementById('live-switch').click()")
        .await;
    let paused = "return document.getElementById('live-state').textContent === 'paused'";
    assert_eq!(browser.run(paused).await, json!(true));
    // Going on loads the page again, with all that came in.
    browser
        .run("document.getElementById('live-switch').click()")
        .await;
    browser.until("live again", state).await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}
