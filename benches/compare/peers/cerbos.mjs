// Asks Cerbos for all decisions on the list by its own client over gRPC: `cerbos.mjs PORT QUESTION BATCH RUNS`.
//
// Prints the shown fields of each record, the time of each run on the clock, and, before each run, waits for a line on
// standard input, so that the caller can read the server's processor time around it.
import fs from 'node:fs';
import readline from 'node:readline';
import { GRPC } from '@cerbos/grpc';

const [, , port, questionFile, batch, runs] = process.argv;
const { principal, resources } = JSON.parse(fs.readFileSync(questionFile, 'utf8'));
const cerbos = new GRPC(`127.0.0.1:${port}`, { tls: false });
const size = Number(batch);
const batches = [];
for (let at = 0; at < resources.length; at += size) batches.push(resources.slice(at, at + size));

// One batch after the other: the server's work is the same, and its time is not hidden behind its own queue.
async function ask() {
  const answers = [];
  for (const part of batches) answers.push(await cerbos.checkResources({ principal, resources: part }));
  return answers.flatMap((answer) => answer.results);
}

function shown(results) {
  return results.map((result) => {
    const allowed = Object.entries(result.actions).filter(([, effect]) => effect === 'EFFECT_ALLOW');
    return allowed.map(([action]) => action).sort();
  });
}

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
console.log(JSON.stringify(shown(await ask())));
for (let run = 0; run < Number(runs); run += 1) {
  await lines.next();
  const start = process.hrtime.bigint();
  await ask();
  console.log(Number(process.hrtime.bigint() - start));
}
process.exit(0);
