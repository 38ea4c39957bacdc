"""Helm and Kubernetes' schemas, for tests in Rust: one request a line on stdin, one answer a line on stdout (JSON).

Helm is its own library (helm-python-sdk), not a stand-in. Objects of Kubernetes are held against its OpenAPI
schemas, strictly (kubernetes-validate); those of Prometheus' operator and of cert-manager against models that were
generated from their CRDs (cloudcoil-models-...), where a field that the model does not keep is an unknown one.
"""

import functools
import importlib
import json
import pathlib
import sys
import tempfile

import kubernetes_validate
import yaml
from helm_python import Chart, Config, HelmError, lint, package

MODELS = {
    "monitoring.coreos.com/v1": "cloudcoil.models.prometheus_operator.v1",
    "cert-manager.io/v1": "cloudcoil.models.cert_manager.v1",
}


@functools.cache
def packed(chart):
    """The chart as people get it: packed."""
    with tempfile.TemporaryDirectory() as place:
        return Chart.load_archive(pathlib.Path(package(chart, destination=place)).read_bytes())


def render(chart, values, name, namespace):
    files = packed(chart).render(yaml.safe_load(values) or {}, name=name, namespace=namespace)
    notes = [text for path, text in files.items() if path.endswith("NOTES.txt")]
    files = {path: text for path, text in sorted(files.items()) if path.endswith(".yaml")}
    objects = [one for text in files.values() for one in yaml.safe_load_all(text) if one]
    return {"objects": objects, "files": files, "notes": "".join(notes)}


def install(chart, values, name, namespace, secret):
    """What would be installed where there is this Secret."""
    with cluster(secret) as kubeconfig:
        with Config(kubeconfig_content=kubeconfig, namespace=namespace, storage_driver="memory") as config:
            values = yaml.safe_load(values) or {}
            release = config.install(packed(chart), name, values, namespace=namespace, dry_run="server")
    objects = [one for one in yaml.safe_load_all(release["manifest"]) if one]
    return {"objects": objects, "files": {}, "notes": ""}


def validate(thing, versions):
    module = MODELS.get(thing["apiVersion"])
    if module:
        return {"error": validate_by_model(thing, module)}
    for version in versions:
        try:
            kubernetes_validate.validate(thing, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            path = ".".join(str(part) for part in error.path)
            return {"error": f"Kubernetes {version}: {path}: {error.message}"}
        except kubernetes_validate.SchemaNotFoundError as error:
            return {"error": error.message}
    return {"error": None}


def validate_by_model(thing, module):
    model = getattr(importlib.import_module(module), thing["kind"], None)
    if model is None:
        return f"{module} has no {thing['kind']}"
    try:
        kept = model.model_validate(thing).model_dump(by_alias=True, exclude_unset=True, mode="json")
    except ValueError as error:
        return str(error)
    return lost("", thing, kept)


def lost(path, given, kept):
    """The first thing that was given and not kept."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            if key not in kept:
                return f"{path}.{key}: unknown field"
            found = lost(f"{path}.{key}", value, kept[key])
            if found:
                return found
    elif isinstance(given, list) and isinstance(kept, list):
        for at, (one, other) in enumerate(zip(given, kept)):
            found = lost(f"{path}[{at}]", one, other)
            if found:
                return found
    return None


def answer(request):
    chart = request["chart"]
    match request["do"]:
        case "lint":
            return lint(chart, strict=True)
        case "render":
            return render(chart, request["values"], request["name"], request["namespace"])
        case "install":
            return install(chart, request["values"], request["name"], request["namespace"], request["secret"])
        case "validate":
            return validate(request["object"], request["versions"])
        case "read":
            with open(request["path"]) as file:
                return {"documents": [one for one in yaml.safe_load_all(file) if one]}


def main():
    for line in sys.stdin:
        try:
            told = answer(json.loads(line))
        except (HelmError, OSError, ValueError, yaml.YAMLError) as error:
            told = {"refused": str(error)}
        print(json.dumps(told, default=str), flush=True)


main()
