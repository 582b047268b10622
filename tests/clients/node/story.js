'use strict';
// What the stories of the ORMs have in common: settings, rows, steps, and the comparison of two runs. The rules are those
// of ../python/story.py: what a step gives must be the same directly and through the proxy, in values and types, or the
// step is one that the story lists as refused.

const fs = require('node:fs');
const util = require('node:util');

const FIELDS = ['id', 'name', 'phone', 'address', 'note'];
const ROWS = [
  [1, 'Ana', '+34 600 000 001', 'Calle Mayor 1', 'first'],
  [2, 'Émile', '+33 1 23 45 67 89', "12 rue de l'Église", ''],
  [3, '花子', '+81 90 1234 5678', '東京都千代田区 😀', null],
  [4, 'Nobody', null, null, null],
  [5, 'Empty', '', '', ''],
];
// Ana's number as people in Spain write it.
const ANOTHER_NOTATION = '600-000-001';
// Not supported for a protected column.
const CODES = [1235];

function setting(name, fallback) {
  const value = process.env[name] ?? fallback;
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

// Where the application connects: 'PROXY' or 'DIRECT'.
function application(side, database) {
  const ca = process.env.CANDADO_CA;
  return {
    host: setting(`CANDADO_${side}_HOST`, '127.0.0.1'),
    port: Number(setting(`CANDADO_${side}_PORT`)),
    user: setting('CANDADO_USER'),
    password: setting('CANDADO_PASSWORD', ''),
    database,
    ...(ca ? { ssl: { ca: fs.readFileSync(ca) } } : {}),
  };
}

function administrator() {
  return {
    host: setting('CANDADO_DIRECT_HOST', '127.0.0.1'),
    port: Number(setting('CANDADO_DIRECT_PORT')),
    user: setting('CANDADO_DIRECT_USER', 'root'),
    password: setting('CANDADO_DIRECT_PASSWORD', ''),
  };
}

const customers = ROWS.map((row) => Object.fromEntries(FIELDS.map((name, at) => [name, row[at]])));
const values = (customer) => (customer ? FIELDS.map((name) => customer[name]) : null);

// The server's error code that an ORM's own error wraps.
function errorCode(error) {
  for (let cause = error; cause; cause = cause.original ?? cause.driverError ?? cause.cause) {
    if (cause.errno > 999) return cause.errno;
  }
  return null;
}

class Steps {
  constructor(isProtected) {
    this.isProtected = isProtected;
    this.taken = [];
  }

  // Takes a step and keeps what it gives, or the code of the error that it ends with.
  async take(name, step) {
    try {
      this.taken.push({ name, code: null, shown: util.inspect(await step(), { depth: null, breakLength: Infinity }) });
    } catch (error) {
      const code = errorCode(error);
      if (code === null) throw error;
      this.taken.push({ name, code, shown: `error ${code}` });
    }
  }
}

// Prints what differs between the direct run and the one through the proxy; gives its number.
function compare(title, expected, found, mayBeRefused) {
  const [refused, different] = [[], []];
  if (expected.length !== found.length) throw new Error('the runs differ in length');
  expected.forEach((before, at) => {
    const after = found[at];
    if (mayBeRefused.has(before.name) && CODES.includes(after.code) && before.code === null) {
      refused.push(before.name);
    // A step that fails without the product, too, says nothing.
    } else if (before.shown !== after.shown || before.code !== null) different.push([before, after]);
  });
  console.log(`${title}: ${expected.length} steps, ${refused.length} refused, ${different.length} different`);
  if (refused.length) console.log(`  refused: ${refused.join(', ')}`);
  for (const [before, after] of different) {
    console.log(`  ${before.name}\n    direct: ${before.shown}\n    proxy:  ${after.shown}`);
  }
  const names = new Set(expected.map((step) => step.name));
  const unknown = [...mayBeRefused].filter((name) => !names.has(name));
  if (unknown.length) throw new Error(`no such steps: ${unknown}`);
  return different.length;
}

module.exports = { ANOTHER_NOTATION, FIELDS, ROWS, Steps, administrator, application, compare, customers, setting, values };
