'use strict';
// TypeORM: entities, and what an application does with them. Nothing here knows of encryption but the list of what may be
// refused.

const { Between, DataSource, EntitySchema, In, IsNull, Like, MoreThan, Not } = require('typeorm');
const { ANOTHER_NOTATION, ROWS, customers, values } = require('./story');

const TITLE = 'TypeORM';
// Wildcards, order, and functions over a value need what a blind index cannot tell.
const MAY_BE_REFUSED = new Set([
  'starts with', 'between', 'greater', 'ordered by phone', 'upper case', 'largest',
  'distinct phones', 'phones with counts',
]);

const Customer = new EntitySchema({
  name: 'Customer',
  tableName: 'customers',
  columns: {
    id: { type: 'int', primary: true },
    name: { type: 'varchar', length: 100, nullable: true },
    phone: { type: 'varchar', length: 40, nullable: true },
    address: { type: 'varchar', length: 255, nullable: true },
    note: { type: 'text', nullable: true },
  },
  indices: [{ name: 'ix_customers_phone', columns: ['phone'] }],
  relations: { visits: { type: 'one-to-many', target: 'Visit', inverseSide: 'customer' } },
});
const Visit = new EntitySchema({
  name: 'Visit',
  tableName: 'typeorm_visits',
  columns: { id: { type: 'int', primary: true, generated: 'increment' }, remark: { type: 'varchar', length: 100 } },
  relations: { customer: { type: 'many-to-one', target: 'Customer', inverseSide: 'visits', joinColumn: { name: 'customer_id' }, createForeignKeyConstraints: false } },
});

async function run(to, steps) {
  const { user, ...place } = to;
  const source = await new DataSource({
    type: 'mysql', connectorPackage: 'mysql2', ...place, username: user, charset: 'utf8mb4', entities: [Customer, Visit],
  }).initialize();
  const repository = source.getRepository(Customer);
  const visits = source.getRepository(Visit);
  const take = (name, step) => steps.take(name, step);
  const listed = async (where) => (await repository.find({ where, order: { id: 'ASC' } })).map(values);
  const one = async (query) => values(await query);
  const builder = () => repository.createQueryBuilder('c');

  await take('tables', async () => {
    const runner = source.createQueryRunner();
    await runner.query('DROP TABLE IF EXISTS typeorm_visits');
    if (steps.isProtected) {
      await repository.createQueryBuilder().delete().execute();
      // Its synchronisation would change the protected table's types: the table of visits is made by itself.
      await runner.query('CREATE TABLE typeorm_visits (id INT AUTO_INCREMENT PRIMARY KEY, remark VARCHAR(100) NOT NULL, customer_id INT NULL) CHARACTER SET utf8mb4');
    } else {
      await runner.query('DROP TABLE IF EXISTS customers');
      await source.synchronize();
    }
    await runner.release();
  });

  // Writing.
  await take('save new', () => one(repository.save(customers[0])));
  await take('insert', async () => (await repository.insert(customers.slice(1))).identifiers);
  await take('all', () => listed({}));
  await take('visits', async () => (await visits.save([1, 1, 3, 4].map((key) => ({ remark: `visit ${key}`, customer: { id: key } })))).length);

  // Searching.
  await take('findOneBy', () => one(repository.findOneBy({ phone: ROWS[0][2] })));
  await take('by another notation', () => one(repository.findOneBy({ phone: steps.isProtected ? ANOTHER_NOTATION : ROWS[0][2] })));
  await take('by unknown phone', () => one(repository.findOneBy({ phone: '+1 555 0100' })));
  await take('In', () => listed({ phone: In([ROWS[0][2], ROWS[2][2]]) }));
  await take('Not', () => listed({ phone: Not(ROWS[0][2]) }));
  await take('Not In', () => listed({ phone: Not(In([ROWS[0][2], ''])) }));
  await take('IsNull', () => listed({ phone: IsNull() }));
  await take('Not IsNull', () => listed({ phone: Not(IsNull()) }));
  await take('empty', () => listed({ phone: '' }));
  await take('or', () => listed([{ phone: ROWS[0][2] }, { name: 'Nobody' }]));
  await take('countBy', () => repository.countBy({ phone: ROWS[0][2] }));
  await take('existsBy', () => repository.existsBy({ phone: ROWS[0][2] }));
  await take('findAndCount', async () => {
    const [rows, count] = await repository.findAndCount({ where: { phone: ROWS[0][2] }, take: 1, skip: 0 });
    return [rows.map(values), count];
  });
  await take('select', async () => repository.find({ select: { id: true, phone: true }, order: { id: 'ASC' } }));
  await take('query builder', async () => (await builder().where('c.phone = :phone', { phone: ROWS[0][2] }).getMany()).map(values));
  await take('raw', () => builder().select('c.id', 'key').addSelect('c.phone', 'tel').orderBy('c.id').getRawMany());

  // Joins.
  await take('relation', async () => (await visits.find({ relations: { customer: true }, order: { id: 'ASC' } })).map((visit) => [visit.remark, visit.customer.phone]));
  await take('relation with a condition', async () => (await visits.find({ where: { customer: { phone: ROWS[0][2] } }, order: { id: 'ASC' } })).map((visit) => visit.remark));
  await take('one-to-many with a limit', async () => (await repository.find({ where: { phone: ROWS[0][2] }, relations: { visits: true }, take: 1 }))
    .map((found) => [values(found), found.visits.map((visit) => visit.remark).sort()]));
  await take('sub-query', async () => (await visits.createQueryBuilder('v').where((query) => `v.customer_id IN ${
    query.subQuery().select('c.id').from(Customer, 'c').where('c.phone = :phone').getQuery()}`).setParameter('phone', ROWS[2][2]).getMany()).map((visit) => visit.remark));

  // What cannot be told of encrypted values.
  await take('starts with', () => listed({ phone: Like('+34%') }));
  await take('like without a wildcard', () => listed({ phone: Like(ROWS[2][2]) }));
  await take('between', () => listed({ phone: Between('+30', '+35') }));
  await take('greater', () => listed({ phone: MoreThan('+34') }));
  await take('ordered by phone', async () => (await repository.find({ where: { id: In([1, 2, 3]) }, order: { phone: 'ASC' } })).map(values));
  await take('upper case', () => builder().select('UPPER(c.address)', 'u').orderBy('c.id').getRawMany());
  await take('largest', () => builder().select('MAX(c.phone)', 'm').where('c.id <= 3').getRawOne());
  await take('distinct phones', async () => (await builder().select('c.phone', 'phone').distinct(true).where('c.id <= 3').getRawMany()).map((row) => row.phone).sort());
  await take('phones with counts', async () => (await builder().select('c.phone', 'phone').addSelect('COUNT(c.id)', 'n').where('c.id <= 3').groupBy('c.phone').getRawMany()).map((row) => JSON.stringify(row)).sort());

  // Changing.
  await take('save', async () => {
    const ana = await repository.findOneBy({ id: 1 });
    ana.phone = '+34 699 999 999';
    ana.address = null;
    await repository.save(ana);
    return one(repository.findOneBy({ id: 1 }));
  });
  await take('update', async () => (await repository.update({ phone: '+34 699 999 999' }, { note: 'moved', phone: '+34 688 888 888' })).affected);
  await take('after update', () => one(repository.findOneBy({ phone: '+34 688 888 888' })));
  await take('save several', async () => (await repository.save([
    { id: 2, phone: '+33 9 00 00 00 00' }, { id: 6, name: 'London', phone: '+44 20 7946 0000', address: null, note: null }])).length);
  await take('upsert', async () => (await repository.upsert(
    [{ id: 6, name: 'again', phone: '+44 20 7946 0003', note: '😀' }, { id: 7, phone: '+44 20 7946 0004' }], ['id'])).identifiers);
  await take('orIgnore', async () => (await builder().insert().values({ id: 7, phone: 'not' }).orIgnore().execute()).raw.affectedRows);
  await take('after the upserts', () => listed({}));
  await take('rolled back', async () => {
    let inside;
    await source.transaction(async (manager) => {
      await manager.insert(Customer, { id: 20, phone: '+34 622 000 000' });
      inside = await manager.countBy(Customer, { phone: '+34 622 000 000' });
      throw new Error('roll back');
    }).catch((error) => { if (error.message !== 'roll back') throw error; });
    return [inside, await repository.countBy({ phone: '+34 622 000 000' })];
  });
  await take('locked', () => source.transaction(async (manager) => (await manager.find(Customer, { where: { phone: ROWS[2][2] }, lock: { mode: 'pessimistic_write' } })).map(values)));

  // Deleting.
  await take('remove', async () => repository.remove(await repository.findOneBy({ phone: ROWS[2][2] })).then(() => repository.count()));
  await take('delete', async () => (await repository.delete({ phone: In(['+34 688 888 888', '+44 20 7946 0003']) })).affected);
  await take('what is left', () => listed({}));
  await source.destroy();
}

module.exports = { MAY_BE_REFUSED, TITLE, run };
