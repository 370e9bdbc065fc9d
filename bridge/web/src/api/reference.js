// Shows the OpenAPI document of this bridge. Everything is put in as text, never as HTML.
"use strict";

const make = (name, words, attributes = {}) => {
  const element = document.createElement(name);
  if (words !== undefined) element.textContent = words;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};

const shortName = (reference) => reference.split("/").pop();

// A schema in a few words; what has a name of its own is a link to it.
const inWords = (schema) => {
  if (schema === undefined || schema === true) return [document.createTextNode("anything")];
  if (schema.$ref) {
    const name = shortName(schema.$ref);
    return [make("a", name, { href: `#schema-${name}` })];
  }
  const either = schema.anyOf ?? schema.oneOf;
  if (either && !schema.type) {
    return either.flatMap((one, at) => [...(at ? [document.createTextNode(" or ")] : []), ...inWords(one)]);
  }
  if (schema.const !== undefined) return [make("code", JSON.stringify(schema.const))];
  if (schema.enum) return [make("code", schema.enum.map((word) => JSON.stringify(word)).join(" | "))];
  const type = [].concat(schema.type ?? "anything").join(" or ");
  if (schema.items) return [document.createTextNode("list of "), ...inWords(schema.items)];
  const limits = [
    schema.minimum !== undefined && `from ${schema.minimum}`,
    schema.maximum !== undefined && `to ${schema.maximum}`,
    schema.maxLength !== undefined && `up to ${schema.maxLength} characters`,
    schema.pattern && `as ${schema.pattern}`,
    schema.format,
  ].filter(Boolean);
  return [document.createTextNode([type, ...limits].join(", "))];
};

const table = (rows) => {
  const element = make("table");
  for (const [name, schema, words] of rows) {
    const row = element.appendChild(make("tr"));
    row.appendChild(make("td")).appendChild(make("code", name));
    row.appendChild(make("td")).append(...inWords(schema));
    row.appendChild(make("td", words ?? ""));
  }
  return element;
};

const members = (schema) => {
  const needed = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).map(([name, member]) => [
    needed.has(name) ? name : `${name}?`,
    member,
    member.description,
  ]);
};

const operation = (method, path, told) => {
  const article = make("article", undefined, { id: told.operationId });
  const scope = Object.values(told.security?.[0] ?? {}).flat().join(", ");
  article.append(make("span", scope, { class: "scope", title: "the scope that the token needs" }));
  const title = article.appendChild(make("h3"));
  title.append(make("span", method.toUpperCase(), { class: `method ${method}` }), make("code", path));
  article.append(make("p", `${told.summary}.`));
  if (told.parameters?.length) {
    article.append(table(told.parameters.map((one) => [
      `${one.name}${one.required ? "" : "?"}`, one.schema, `${one.in}. ${one.description ?? ""}`,
    ])));
  }
  for (const [kind, content] of Object.entries(told.requestBody?.content ?? {})) {
    const words = article.appendChild(make("p", `Body, ${kind}: `));
    words.append(...inWords(content.schema));
  }
  const fine = Object.entries(told.responses).filter(([status]) => status < 400);
  for (const [status, answer] of fine) {
    const words = article.appendChild(make("p", `${status}: ${answer.description}. `));
    for (const content of Object.values(answer.content ?? {})) words.append(...inWords(content.schema));
  }
  const rest = make("details");
  rest.append(make("summary", "What may go wrong"));
  const wrong = rest.appendChild(make("table"));
  for (const [status, answer] of Object.entries(told.responses).filter(([status]) => status >= 400)) {
    const row = wrong.appendChild(make("tr"));
    row.append(make("td", status), make("td", answer.description));
  }
  article.append(rest);
  return article;
};

const example = (origin) =>
  `curl -H "Authorization: Bearer $(cat TOKEN-FILE)" ${origin}/api/v1/targets

curl -H "Authorization: Bearer $(cat TOKEN-FILE)" -H "Idempotency-Key: morning-1" \\
  --json '{"action":"start"}' ${origin}/api/v1/targets/web-1/commands`;

const problems = (all) => {
  const known = new Map();
  for (const path of Object.values(all.paths)) {
    for (const told of Object.values(path)) {
      for (const [status, answer] of Object.entries(told.responses)) {
        for (const [, title, code] of answer.description.matchAll(/([^;]+?) \(`([a-z-]+)`\)/g)) {
          known.set(code, [status, title.trim()]);
        }
      }
    }
  }
  const element = make("table");
  for (const [code, [status, title]] of [...known].sort()) {
    const row = element.appendChild(make("tr", undefined, { id: `problem-${code}` }));
    row.appendChild(make("td")).append(make("code", code));
    row.append(make("td", status), make("td", title));
  }
  return element;
};

const show = (all) => {
  document.getElementById("about").textContent = all.info.description;
  const [contents, main] = [document.getElementById("contents"), document.getElementById("operations")];
  main.append(make("h2", "To begin with"), make("pre", example(location.origin)));
  for (const { name, description } of all.tags) {
    contents.append(make("a", name, { href: `#tag-${name}` }), " ");
    main.append(make("h2", `${name[0].toUpperCase()}${name.slice(1)}`, { id: `tag-${name}` }), make("p", `${description}.`));
    for (const [path, methods] of Object.entries(all.paths)) {
      for (const [method, told] of Object.entries(methods)) {
        if (told.tags.includes(name)) main.append(operation(method, path, told));
      }
    }
  }
  contents.append(make("a", "problems", { href: "#problems" }), " ", make("a", "types", { href: "#types" }));
  main.append(make("h2", "Problems", { id: "problems" }));
  main.append(make("p", "Every problem has a code, a sentence on what happened, and a remedy."), problems(all));
  main.append(make("h2", "Types", { id: "types" }));
  for (const [name, schema] of Object.entries(all.components.schemas)) {
    const article = main.appendChild(make("article", undefined, { id: `schema-${name}` }));
    article.append(make("h3", name), make("p", schema.description ?? ""));
    if (schema.properties) article.append(table(members(schema)));
    else article.appendChild(make("p")).append(...inWords(schema));
  }
  document.body.dataset.ready = "yes";
  if (location.hash) document.querySelector(location.hash)?.scrollIntoView();
};

fetch("/api/v1/openapi.json")
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`status ${answer.status}`))))
  .then(show)
  .catch((error) => {
    document.getElementById("about").textContent = `The document cannot be read: ${error.message}`;
  });
