"""A cluster that has one Secret, as far as Helm asks: what `lookup` finds, and which kinds there are.

There is no API server here that could be run; this one shows that an upgrade finds what an installation made.
"""

import contextlib
import http.server
import threading

KINDS = {
    "v1": ["Secret", "ConfigMap", "ServiceAccount", "Service"],
    "apps/v1": ["DaemonSet", "StatefulSet"],
    "rbac.authorization.k8s.io/v1": ["ClusterRole", "ClusterRoleBinding"],
}

# An empty document of OpenAPI 2.0, in protobuf as clients ask for it: nothing is known of any field.
OPENAPI = b"\x0a\x032.0\x42\x00"


def answers(secret):
    """What there is, by path."""
    groups = [group.split("/")[0] for group in KINDS if "/" in group]
    versions = {group: {"groupVersion": f"{group}/v1", "version": "v1"} for group in groups}
    groups = [{"name": g, "versions": [v], "preferredVersion": v} for g, v in versions.items()]
    found = {
        "/version": {"major": "1", "minor": "30", "gitVersion": "v1.30.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups},
        "/openapi/v3": {"paths": {}},
    }
    for group, kinds in KINDS.items():
        resources = [
            {"name": f"{kind.lower()}s", "kind": kind, "namespaced": not kind.startswith("Cluster"), "verbs": ["get"]}
            for kind in kinds
        ]
        path = f"/apis/{group}" if "/" in group else f"/api/{group}"
        found[path] = {"kind": "APIResourceList", "groupVersion": group, "resources": resources}
    if secret:
        metadata = secret["metadata"]
        found[f"/api/v1/namespaces/{metadata['namespace']}/secrets/{metadata['name']}"] = secret
    return found


@contextlib.contextmanager
def cluster(secret):
    """A kubeconfig of it, while it lasts."""
    found = answers(secret)

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.split("?")[0]
            known = path == "/openapi/v2" or path in found
            missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            body = OPENAPI if path == "/openapi/v2" else json.dumps(found.get(path, missing)).encode()
            kind = "application/octet-stream" if path == "/openapi/v2" else "application/json"
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here = {"cluster": "here", "user": "here"}
        yield json.dumps({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
            "contexts": [{"name": "here", "context": here}],
            "users": [{"name": "here", "user": {}}],
            "current-context": "here",
        })
        server.shutdown()
