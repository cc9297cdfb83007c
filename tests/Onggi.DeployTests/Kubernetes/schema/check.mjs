// Reads a JSON array of Kubernetes objects from standard input, checks each against the schema of its kind, and writes what is wrong, one a line.
// Exit code 0 when nothing is.
//
// The schemas' validators are compiled, and know nothing of fields that they do not know. But they ask for each field that they know, whether it is there or
// not: so an object is given to them wrapped, and what nobody asked for, in an object where something was asked for, is a field that the API does not know.
import { createRequire } from "node:module";

const load = createRequire(import.meta.url);

// The package has lost these: to it every "description" is one of the schema's own.
const lost = new Set(["PriorityClass/description"]);

function modelOf(object) {
  const { apiVersion, kind } = object ?? {};
  if (!apiVersion || !kind) throw new Error("has no apiVersion or no kind");
  const known = apiVersion.endsWith(".coreos.com/v1") ? "@kubernetes-models/prometheus-operator" : "kubernetes-models";
  try {
    return load(`${known}/${apiVersion}/${kind}`)[kind];
  } catch {
    throw new Error(`is of a kind that the API does not know: ${apiVersion} ${kind}`);
  }
}

// Notes for every object inside which of its fields were asked for.
function watched(value, asked) {
  if (value === null || typeof value !== "object") return value;
  const copy = Array.isArray(value) ? [] : {};
  for (const [name, inner] of Object.entries(value)) copy[name] = watched(inner, asked);
  const seen = new Set();
  const proxy = new Proxy(copy, {
    get(target, name) {
      if (typeof name === "string") seen.add(name);
      return target[name];
    },
  });
  asked.set(proxy, seen);
  return proxy;
}

function* unknown(value, asked, path) {
  if (value === null || typeof value !== "object") return;
  const seen = new Set(asked.get(value));
  const isList = Array.isArray(value);
  for (const name of Object.keys(value)) {
    if (!isList && seen.size > 0 && !seen.has(name)) yield `${path}/${name} is no field that the API knows`;
  }
  for (const [name, inner] of Object.entries(value)) yield* unknown(inner, asked, `${path}/${name}`);
}

function* faults(object) {
  const model = modelOf(object);
  const asked = new WeakMap();
  const proxy = watched(object, asked);
  try {
    model.prototype.validate.call(proxy);
  } catch (problem) {
    for (const error of problem.errors ?? [{ instancePath: "", message: problem.message }])
      yield `${error.instancePath} ${error.message ?? error.keyword}`;
  }
  for (const field of lost) {
    const [kind, name] = field.split("/");
    if (kind === object.kind) asked.get(proxy).add(name);
  }
  yield* unknown(proxy, asked, "");
}

let text = "";
for await (const chunk of process.stdin) text += chunk;
let count = 0;
for (const object of JSON.parse(text)) {
  const name = `${object?.kind}/${object?.metadata?.name}`;
  try {
    for (const fault of faults(object)) {
      console.log(`${name}: ${fault}`);
      count++;
    }
  } catch (problem) {
    console.log(`${name} ${problem.message}`);
    count++;
  }
}
process.exitCode = count === 0 ? 0 : 1;
