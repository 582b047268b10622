'use strict';
// Sequelize: models, and what an application does with them. Nothing here knows of encryption but the list of what may be
// refused.

const { DataTypes, Op, Sequelize, col, fn } = require('sequelize');
const { ANOTHER_NOTATION, ROWS, customers, values } = require('./story');

const TITLE = 'Sequelize';
// Wildcards, order, and functions over a value need what a blind index cannot tell.
const MAY_BE_REFUSED = new Set([
  'startsWith', 'substring', 'regexp', 'between', 'greater', 'ordered by phone', 'upper case', 'largest',
  'distinct phones', 'count of distinct phones', 'phones with counts',
]);

async function run(to, steps) {
  const { host, port, user, password, database, ssl } = to;
  const sequelize = new Sequelize(database, user, password, {
    host, port, dialect: 'mysql', logging: false, pool: { max: 2 },
    dialectOptions: { charset: 'utf8mb4', ...(ssl ? { ssl } : {}) },
    define: { timestamps: false, charset: 'utf8mb4' },
  });
  const Customer = sequelize.define('Customer', {
    id: { type: DataTypes.INTEGER, primaryKey: true },
    name: DataTypes.STRING(100),
    phone: DataTypes.STRING(40),
    address: DataTypes.STRING(255),
    note: DataTypes.TEXT,
  }, { tableName: 'customers' });
  const Visit = sequelize.define('Visit', { remark: DataTypes.STRING(100) }, { tableName: 'sequelize_visits' });
  Customer.hasMany(Visit, { foreignKey: 'customerId', as: 'visits', constraints: false });
  Visit.belongsTo(Customer, { foreignKey: 'customerId', as: 'customer', constraints: false });

  const take = (name, step) => steps.take(name, step);
  const listed = async (options) => (await Customer.findAll({ order: [['id', 'ASC']], ...options })).map(values);
  const one = async (query) => values(await query);
  const plain = async (query) => (await query).map((found) => found.get({ plain: true }));

  // Its own DDL. The protected table is there, and CREATE TABLE IF NOT EXISTS changes nothing.
  await take('sync', async () => {
    await Visit.drop();
    if (steps.isProtected) await Customer.destroy({ where: {} });
    else await Customer.drop();
    await Customer.sync();
    await Visit.sync();
  });

  // Writing.
  await take('create', () => one(Customer.create(customers[0])));
  await take('bulkCreate', async () => (await Customer.bulkCreate(customers.slice(1))).map(values));
  await take('all', () => listed({}));
  await take('visits', async () => (await Visit.bulkCreate([1, 1, 3, 4].map((key) => ({ customerId: key, remark: `visit ${key}` })))).length);

  // Searching.
  await take('findOne', () => one(Customer.findOne({ where: { phone: ROWS[0][2] } })));
  await take('by another notation', () => one(Customer.findOne({ where: { phone: steps.isProtected ? ANOTHER_NOTATION : ROWS[0][2] } })));
  await take('by unknown phone', () => one(Customer.findOne({ where: { phone: '+1 555 0100' } })));
  await take('in', () => listed({ where: { phone: [ROWS[0][2], ROWS[2][2]] } }));
  await take('notIn', () => listed({ where: { phone: { [Op.notIn]: [ROWS[0][2], ''] } } }));
  await take('ne', () => listed({ where: { phone: { [Op.ne]: ROWS[0][2] } } }));
  await take('not', () => listed({ where: { [Op.not]: { phone: ROWS[0][2] } } }));
  await take('null', () => listed({ where: { phone: null } }));
  await take('not null', () => listed({ where: { phone: { [Op.not]: null } } }));
  await take('empty', () => listed({ where: { phone: '' } }));
  await take('or', () => listed({ where: { [Op.or]: [{ phone: ROWS[0][2] }, { name: 'Nobody' }] } }));
  await take('like without a wildcard', () => listed({ where: { phone: { [Op.like]: ROWS[2][2] } } }));
  await take('count', () => Customer.count({ where: { phone: ROWS[0][2] } }));
  await take('count of phones', () => Customer.count({ col: 'phone' }));
  await take('findAndCountAll', async () => {
    const { rows, count } = await Customer.findAndCountAll({ where: { phone: ROWS[0][2] }, limit: 1, offset: 0 });
    return [rows.map(values), count];
  });
  await take('findByPk', () => one(Customer.findByPk(3)));
  await take('attributes', () => plain(Customer.findAll({ attributes: ['id', ['phone', 'tel']], order: ['id'] })));
  await take('limited', () => listed({ limit: 2, offset: 1 }));

  // Joins.
  await take('include', async () => (await Visit.findAll({ include: 'customer', order: ['id'] })).map((visit) => [visit.remark, visit.customer.phone]));
  await take('include with a condition', async () => (await Visit.findAll({
    include: { association: 'customer', where: { phone: ROWS[0][2] } }, order: ['id'],
  })).map((visit) => [visit.remark, values(visit.customer)]));
  await take('hasMany with a limit', async () => (await Customer.findAll({
    include: 'visits', where: { phone: ROWS[0][2] }, limit: 1,
  })).map((found) => [values(found), found.visits.map((visit) => visit.remark).sort()]));
  await take('separate', async () => (await Customer.findAll({
    include: { association: 'visits', separate: true }, order: ['id'],
  })).map((found) => [found.phone, found.visits.map((visit) => visit.remark).sort()]));
  await take('nested condition', async () => (await Visit.findAll({ include: 'customer', where: { '$customer.phone$': ROWS[2][2] } })).map((visit) => visit.remark));

  // What cannot be told of encrypted values.
  await take('startsWith', () => listed({ where: { phone: { [Op.startsWith]: '+34' } } }));
  await take('substring', () => listed({ where: { phone: { [Op.substring]: '600' } } }));
  await take('regexp', () => listed({ where: { phone: { [Op.regexp]: '^.34' } } }));
  await take('between', () => listed({ where: { phone: { [Op.between]: ['+30', '+35'] } } }));
  await take('greater', () => listed({ where: { phone: { [Op.gt]: '+34' } } }));
  await take('ordered by phone', () => listed({ where: { id: { [Op.lte]: 3 } }, order: ['phone'] }));
  await take('upper case', () => plain(Customer.findAll({ attributes: [[fn('UPPER', col('address')), 'u']], order: ['id'] })));
  await take('largest', () => Customer.max('phone', { where: { id: { [Op.lte]: 3 } } }));
  await take('distinct phones', async () => (await Customer.aggregate('phone', 'DISTINCT', { plain: false, where: { id: { [Op.lte]: 3 } } })).map((row) => Object.values(row)[0]).sort());
  await take('count of distinct phones', () => Customer.count({ col: 'phone', distinct: true }));
  await take('phones with counts', async () => (await plain(Customer.findAll({
    attributes: ['phone', [fn('COUNT', col('id')), 'n']], group: 'phone', where: { id: { [Op.lte]: 3 } },
  }))).map((row) => JSON.stringify(row)).sort());

  // Changing.
  await take('save', async () => {
    const ana = await Customer.findByPk(1);
    ana.phone = '+34 699 999 999';
    ana.address = null;
    await ana.save();
    return one(ana.reload());
  });
  await take('update', () => Customer.update({ note: 'moved', phone: '+34 688 888 888' }, { where: { phone: '+34 699 999 999' } }));
  await take('after update', () => one(Customer.findOne({ where: { phone: '+34 688 888 888' } })));
  await take('findOrCreate', async () => {
    const [found, fresh] = await Customer.findOrCreate({ where: { phone: ROWS[2][2] }, defaults: { id: 60 } });
    const [made, isFresh] = await Customer.findOrCreate({ where: { phone: '+44 20 7946 0000' }, defaults: { id: 6, name: 'London' } });
    return [values(found), fresh, values(made), isFresh];
  });
  await take('upsert', async () => [
    (await Customer.upsert({ id: 6, name: 'again', phone: '+44 20 7946 0003', note: '😀' }))[1],
    (await Customer.upsert({ id: 7, phone: '+44 20 7946 0004' }))[1]]);
  await take('bulk upsert', async () => (await Customer.bulkCreate(
    [{ id: 7, phone: '', note: 'changed' }, { id: 8, phone: '+44 20 7946 0005' }], { updateOnDuplicate: ['phone', 'note'] })).length);
  await take('ignored', async () => (await Customer.bulkCreate([{ id: 8, phone: 'not' }], { ignoreDuplicates: true })).length);
  await take('after the upserts', () => listed({ where: { id: { [Op.gte]: 6 } } }));
  await take('rolled back', async () => {
    const transaction = await sequelize.transaction();
    await Customer.create({ id: 20, phone: '+34 622 000 000' }, { transaction });
    const inside = await Customer.count({ where: { phone: '+34 622 000 000' }, transaction });
    await transaction.rollback();
    return [inside, await Customer.count({ where: { phone: '+34 622 000 000' } })];
  });
  await take('locked', () => sequelize.transaction(async (transaction) => listed({ where: { phone: ROWS[2][2] }, lock: transaction.LOCK.UPDATE, transaction })));

  // Deleting.
  await take('destroy one', async () => (await Customer.findOne({ where: { phone: ROWS[2][2] } })).destroy().then(() => Customer.count()));
  await take('destroy some', () => Customer.destroy({ where: { phone: ['+34 688 888 888', '+44 20 7946 0003'] } }));
  await take('what is left', () => listed({}));
  await sequelize.close();
}

module.exports = { MAY_BE_REFUSED, TITLE, run };
