#!/usr/bin/env node
'use strict';
// Runs the story of each ORM directly on plain tables and through the proxy on the protected one, and compares. The
// plain tables are made in CANDADO_DATABASE with `_plain` added to its name; with --plain both sides are direct, the
// second in a database with `_second` added. Exit code 1 on any difference.

const mysql = require('mysql2/promise');
const { Steps, administrator, application, compare, setting } = require('./story');

const PLAIN = process.argv.includes('--plain');
const ORMS = ['./orm_sequelize', './orm_typeorm'];

// An empty database that the application's account may use.
async function makeDatabase(name) {
  const direct = await mysql.createConnection(administrator());
  await direct.query(`CREATE DATABASE IF NOT EXISTS \`${name}\` CHARACTER SET utf8mb4`);
  const [hosts] = await direct.query('SELECT Host AS host FROM mysql.user WHERE User = ?', [setting('CANDADO_USER')]);
  for (const { host } of hosts) await direct.query(`GRANT ALL ON \`${name}\`.* TO ?@?`, [setting('CANDADO_USER'), host]);
  await direct.query(`DROP TABLE IF EXISTS \`${name}\`.customers`);
  await direct.end();
}

async function main() {
  const database = setting('CANDADO_DATABASE');
  const reference = `${database}_plain`;
  const subject = PLAIN ? `${database}_second` : database;
  await makeDatabase(reference);
  if (PLAIN) await makeDatabase(subject);
  let different = 0;
  for (const path of ORMS) {
    const { MAY_BE_REFUSED, TITLE, run } = require(path);
    const runs = [];
    for (const [side, name, isProtected] of [['DIRECT', reference, false], [PLAIN ? 'DIRECT' : 'PROXY', subject, !PLAIN]]) {
      const steps = new Steps(isProtected);
      await run(application(side, name), steps);
      runs.push(steps.taken);
    }
    different += compare(TITLE, runs[0], runs[1], MAY_BE_REFUSED);
  }
  return different ? 1 : 0;
}

main().then((code) => { process.exitCode = code; }, (error) => {
  console.error(error);
  process.exitCode = 1;
});
