/**
 * Calls the modules of an app in Node.js: {function: [arguments, ...]} from standard input, {function: [result, ...]}
 * to standard output.
 * usage: node calls.mjs APP
 */
import { join } from "node:path";
import { argv, stdin } from "node:process";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import * as ort from "onnxruntime-web/wasm";

const [app] = argv.slice(2);
const load = (name) => import(pathToFileURL(join(app, name)));
const { DeployError, open } = await load("deploypipe.js");
const { serve } = await load("serve.mjs");
const { prepare } = await load("deploypipe/image.js");
const { normalizedError, shortest, unequalShare } = await load("deploypipe/parity.js");
const { classesOf } = await load("deploypipe/processing.js");
const { ARRAYS } = await load("deploypipe/tensors.js");

/** JSON has no NaN, no infinity and no int64: values come and go as text. */
const number = (value) => ({ inf: Infinity, "-inf": -Infinity })[value] ?? Number(value);
const tensorOf = ({ dtype, shape, data }) => ({
  dtype,
  shape,
  data: ARRAYS[dtype].from(data, dtype === "int64" ? BigInt : number),
});
const plain = ({ dtype, shape, data }) => ({ dtype, shape, data: Array.from(data, String) });

const mapped = (table, change) => Object.fromEntries(Object.entries(table).map(([key, value]) => [key, change(value)]));

/** What an action of the model gives, or what is wrong. */
async function said(action) {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof DeployError)) throw error;
    return { message: error.message, cure: error.cure };
  }
}

const FUNCTIONS = {
  shortest: (value) => shortest(number(value)),
  normalizedError: (output, reference) => String(normalizedError(output.map(number), reference.map(number))),
  unequalShare: (output, reference) => String(unequalShare(output, reference)),
  prepare: (image, info) => plain(prepare({ ...image, data: Uint8Array.from(image.data) }, info)),
  classes: (output, row, info) => classesOf(tensorOf(output), row, info),
  run: (inputs) => said(async () => mapped(await model.run(mapped(inputs, tensorOf)), plain)),
  classesOfModel: (outputs, which) => said(() => model.classes(mapped(outputs, tensorOf), which)),
};

const asked = JSON.parse(await text(stdin));
const server = asked.run || asked.classesOfModel ? await serve(app, 0) : undefined;
const model = server ? await open(new URL("bundle", server.url), { ort }) : undefined;
const answers = {};
for (const [name, calls] of Object.entries(asked)) {
  answers[name] = await Promise.all(calls.map((given) => FUNCTIONS[name](...given)));
}
console.log(JSON.stringify(answers));
await model?.close();
server?.closeAllConnections();
server?.close();
