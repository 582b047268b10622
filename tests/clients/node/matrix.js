#!/usr/bin/env node
'use strict';
// Writes and reads `customers` with mysql2 over the text and the binary protocol, rows that other
// drivers left there included. Settings are those of ../python/settings.py. With --plain everything
// goes straight to the server, on a table made here. Exit code 1 on any difference.

const fs = require('node:fs');
const mysql = require('mysql2/promise');

const PLAIN = process.argv.includes('--plain');
const ENVELOPE_MAGIC = Buffer.from([0xc1, 0xfe, 0x1d, 0x01]);
const COLUMNS = ['id', 'name', 'phone', 'address', 'note'];
const SELECT = `SELECT ${COLUMNS.join(', ')} FROM customers`;
const INSERT = `INSERT INTO customers (${COLUMNS.join(', ')}) VALUES (?, ?, ?, ?, ?)`;
const FIRST_ID = 100000;

function setting(name, fallback) {
  const value = process.env[name] ?? fallback;
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

function application() {
  const side = PLAIN ? 'DIRECT' : 'PROXY';
  const ca = process.env.CANDADO_CA;
  return {
    host: setting(`CANDADO_${side}_HOST`, '127.0.0.1'),
    port: Number(setting(`CANDADO_${side}_PORT`)),
    user: setting('CANDADO_USER'),
    password: setting('CANDADO_PASSWORD', ''),
    database: setting('CANDADO_DATABASE'),
    charset: 'utf8mb4',
    ...(ca ? { ssl: { ca: fs.readFileSync(ca) } } : {}),
  };
}

function administrator() {
  return {
    host: setting('CANDADO_DIRECT_HOST', '127.0.0.1'),
    port: Number(setting('CANDADO_DIRECT_PORT')),
    user: setting('CANDADO_DIRECT_USER', 'root'),
    password: setting('CANDADO_DIRECT_PASSWORD', ''),
    database: setting('CANDADO_DATABASE'),
  };
}

function rowsOf(first) {
  const cases = [
    ['Ana', '+34 611 000 001', 'Calle Mayor 1, Madrid', 'first order'],
    ['Null', null, null, null],
    ['Empty', '', '', ''],
    ['😀', '+34 611 000 003', '東京都千代田区 𝔘 😀', 'Größe ½ \u200d'],
    ["O'Brien", '+34 611 000 004', 'a\\b \'c\' "d" `e` %s ? -- #', "\\' \\\\ ;/* */"],
    ['ctl', '+34 611 000 005', '\0\t\n\r\x1a\x7f', 'end\0'],
    ['len', '+34 611 000 006', 'a'.repeat(250), 'b'.repeat(251)],
    ['len', '+34 611 000 007', 'é'.repeat(127), 'c'.repeat(20000)],
    ['text', '+34 611 000 008', ENVELOPE_MAGIC.toString('latin1') + 'x', '$fe1$00$AA'],
  ];
  return cases.map(([name, phone, address, note], n) => {
    // Numbers of the second writer differ from those of the first.
    const own = phone ? phone.replace('000', first === FIRST_ID ? '000' : '100') : phone;
    return [first + n, name, own, address, note];
  });
}

const failures = [];
let checks = 0;

function expect(found, wanted, text) {
  checks += 1;
  // JSON tells null, '', numbers and strings apart; anything else (a Buffer) shows as what it is.
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (a !== b) failures.push(`${text}: ${(a ?? 'nothing').slice(0, 200)}, not ${(b ?? 'nothing').slice(0, 200)}`);
}

async function readAll(connection, method, written) {
  const [found] = await connection[method]({ sql: `${SELECT} WHERE id >= ? ORDER BY id`, rowsAsArray: true }, [FIRST_ID]);
  expect(found, written, `${method} read`);
  for (const row of written.filter((one) => one[2])) {
    const [byPhone] = await connection[method]({ sql: 'SELECT id, address FROM customers WHERE phone = ?', rowsAsArray: true }, [row[2]]);
    expect(byPhone, [[row[0], row[3]]], `${method} looked up row ${row[0]}`);
  }
}

// Rows of other drivers must read alike in both protocols and, when protected, must be stored sealed.
async function readOthers(connection) {
  const sql = `${SELECT} WHERE id < ${FIRST_ID} ORDER BY id`;
  const [text, fields] = await connection.query({ sql, rowsAsArray: true });
  const [binary, binaryFields] = await connection.execute({ sql, rowsAsArray: true });
  expect(binary, text, 'rows of other drivers');
  expect(binaryFields.map((f) => [f.name, f.columnType, f.characterSet, f.columnLength]),
    fields.map((f) => [f.name, f.columnType, f.characterSet, f.columnLength]), 'columns of other drivers\' rows');
  for (const row of text) {
    const strange = row.slice(1).filter((cell) => cell !== null && typeof cell !== 'string');
    expect(strange.length, 0, `row ${row[0]} of another driver holds something that is not text`);
  }
  return text.length;
}

async function readStored(direct) {
  for (const column of setting('CANDADO_PROTECTED', 'phone,address,note').split(',')) {
    const [rows] = await direct.query(`SELECT CAST(\`${column}\` AS BINARY) AS at_rest FROM customers WHERE id >= ${FIRST_ID} AND \`${column}\` IS NOT NULL`);
    expect(rows.length > 0, true, `stored values of ${column}`);
    const bare = rows.filter((row) => !row.at_rest.subarray(0, 4).equals(ENVELOPE_MAGIC));
    expect(bare.length, 0, `values of ${column} that are not envelopes`);
  }
}

async function main() {
  const direct = await mysql.createConnection(administrator());
  if (PLAIN) {
    await direct.query('CREATE TABLE IF NOT EXISTS customers (id INT PRIMARY KEY, name VARCHAR(100), phone VARCHAR(40),'
      + ' address VARCHAR(255), note TEXT, KEY (phone)) CHARACTER SET utf8mb4');
  }
  await direct.query(`DELETE FROM customers WHERE id >= ${FIRST_ID}`);
  const connection = await mysql.createConnection(application());

  const byText = rowsOf(FIRST_ID);
  const byBinary = rowsOf(FIRST_ID + 1000);
  for (const row of byText) await connection.query(INSERT, row);
  for (const row of byBinary) await connection.execute(INSERT, row);
  const written = [...byText, ...byBinary];

  await readAll(connection, 'query', written);
  await readAll(connection, 'execute', written);
  const others = await readOthers(connection);
  if (!PLAIN) await readStored(direct);

  await connection.execute('UPDATE customers SET phone = ?, note = NULL WHERE phone = ?', ['+34 622 000 000', byText[0][2]]);
  const [changed] = await connection.query({ sql: `${SELECT} WHERE phone = ?`, rowsAsArray: true }, ['+34 622 000 000']);
  expect(changed, [[FIRST_ID, 'Ana', '+34 622 000 000', 'Calle Mayor 1, Madrid', null]], 'after an update');
  const [gone] = await connection.query('DELETE FROM customers WHERE phone IN (?)', [['+34 622 000 000', byText[3][2]]]);
  expect(gone.affectedRows, 2, 'rows deleted');

  await connection.end();
  await direct.end();
  console.log(`mysql2, text and binary: ${written.length} rows written, ${others} rows of other drivers read`);
  console.log(`${checks} checks, ${failures.length} failures`);
  for (const failure of failures.slice(0, 50)) console.log(`  ${failure}`);
  return failures.length ? 1 : 0;
}

main().then((code) => { process.exitCode = code; }, (error) => {
  console.error(error);
  // Open connections would keep the process for ever.
  process.exit(1);
});
