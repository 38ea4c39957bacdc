//! Values that cannot work are refused, with what to do instead.

use archtrace_chart::with;

use super::matrix::{NAME, NAMESPACE};

fn check(values: &str, said: &[&str]) {
    with(|tools| {
        let Err(error) = tools.render(values, NAME, NAMESPACE) else {
            panic!("{values}: taken")
        };
        for said in said {
            assert!(error.contains(said), "{values}: {error}");
        }
    });
}

#[test]
fn by_the_schema() {
    for (values, said) in [
        ("agnet: {}", &["agnet"][..]),
        ("agent: { imagee: {} }", &["agent", "imagee"]),
        ("agent: { image: { digest: sha256:123 } }", &["digest"]),
        ("agent: { bestTier: 4 }", &["bestTier"]),
        ("agent: { spool: { maxBytes: 64MB } }", &["maxBytes"]),
        ("agent: { spool: { maxAge: soon } }", &["maxAge"]),
        (
            "agent: { spool: { hostDirectory: var/lib } }",
            &["hostDirectory"],
        ),
        (
            "agent: { runtime: { directory: run/containerd } }",
            &["directory"],
        ),
        ("agent: { metrics: { port: 80 } }", &["port", "1,024"]),
        ("agent: { metrics: { maxSeries: 7 } }", &["maxSeries"]),
        ("agent: { maxUnavailable: 0 }", &["maxUnavailable"]),
        (
            "agent: { collectorUrl: collector:50061 }",
            &["collectorUrl"],
        ),
        (
            "agent: { seccompProfile: { type: Localhost } }",
            &["localhostProfile"],
        ),
        ("agent: { seLinuxType: \"spc-t\" }", &["seLinuxType"]),
        ("collector: { replicas: 0 }", &["replicas"]),
        ("collector: { replicas: two }", &["replicas"]),
        ("collector: { store: { kind: mysql } }", &["kind"]),
        ("collector: { store: { kind: postgresql } }", &["url"]),
        (
            "collector: { store: { kind: postgresql, postgresql: { existingSecret: a, \
             url: \"postgres://user:secret@db/archtrace\" } } }",
            &["url"],
        ),
        (
            "collector: { store: { kind: postgresql, postgresql: { url: \"postgres://a@db/a\" } } }",
            &["existingSecret"],
        ),
        ("collector: { nodes: { from: file } }", &["from"]),
        ("collector: { keepEvents: 30 }", &["keepEvents"]),
        ("collector: { policy: { agent: [] } }", &["policy", "agent"]),
        ("collector: { exports: { otlp: otel:4317 } }", &["otlp"]),
        ("collector: { service: { type: ExternalName } }", &["type"]),
        ("tls: { mode: self }", &["mode"]),
        ("tls: { mode: existingSecret }", &["existingSecret"]),
        ("tls: { existingSecret: mine }", &["existingSecret"]),
        ("tls: { mode: certManager }", &["issuer"]),
        (
            "auth: { certificates: { enabled: true } }",
            &["caConfigMap"],
        ),
        ("auth: { tokens: { audience: \"\" } }", &["audience"]),
        ("auth: { tokens: { jwks: \"http://keys\" } }", &["jwks"]),
        ("auth: { tokens: { readers: [jane] } }", &["readers"]),
        ("listenAddress: 127.0.0.1", &["listenAddress"]),
        ("imageRegistry: https://example.com", &["imageRegistry"]),
        (
            "networkPolicy: { collectorEgressPorts: [0] }",
            &["collectorEgressPorts"],
        ),
        (
            "monitoring: { podMonitor: { interval: 30 } }",
            &["interval"],
        ),
    ] {
        check(values, said);
    }
}

#[test]
fn by_what_they_mean_together() {
    for (values, said) in [
        (
            "agent: { enabled: false }\ncollector: { enabled: false }",
            &["nothing would be installed"][..],
        ),
        (
            "collector: { enabled: false }",
            &["agent.collectorUrl", "https://"],
        ),
        (
            "collector: { enabled: false }\nagent: { collectorUrl: \"https://a:1\" }",
            &["agent.collectorCaConfigMap"],
        ),
        ("collector: { replicas: 2 }", &["postgresql"]),
        (
            "collector: { replicas: 2, exports: { ocsf: true }, store: { kind: postgresql, \
             postgresql: { url: \"postgres://a@db/a\", existingSecret: a } } }",
            &["collector.exports"],
        ),
        (
            "auth: { tokens: { enabled: false } }",
            &["agent.hostCertificates"],
        ),
        (
            "auth: { tokens: { enabled: false } }\nagent: { enabled: false }",
            &["nobody could report or read"],
        ),
        (
            "agent: { hostCertificates: /etc/archtrace }",
            &["auth.certificates"],
        ),
        (
            "tls: { mode: none }\nagent: { hostCertificates: /etc/archtrace }",
            &["tls.mode is none"],
        ),
        (
            "collector: { policyConfigMap: a, policy: { agents: [{ name: a }] } }",
            &["choose one"],
        ),
        (
            "agent: { podLabels: { app.kubernetes.io/name: mine } }",
            &["agent.podLabels", "app.kubernetes.io/name", "leave it out"],
        ),
        (
            "collector: { podLabels: { app.kubernetes.io/instance: mine } }",
            &["collector.podLabels", "app.kubernetes.io/instance"],
        ),
        (
            "collector: { web: { enabled: true, port: 50061 } }",
            &["collector.web.port", "collector.service.port", "change one"],
        ),
        (
            "collector: { metrics: { port: 50061 } }",
            &["collector.metrics.port", "9465"],
        ),
        (
            "collector: { metrics: { port: 50080 } }",
            &["collector.metrics.port", "9465"],
        ),
    ] {
        check(values, said);
    }
}
