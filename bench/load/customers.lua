-- Queries over a table with three protected columns (name, phone, address):
--   --shape=point     one row by primary key, three fields to open
--   --shape=search    one row by phone number, found by the blind index
--   --shape=rows      1,000 rows, three fields each to open
require("oltp_common")

sysbench.cmdline.options.shape = {"point, search or rows", "point"}

function thread_init()
   drv = sysbench.sql.driver()
   con = drv:connect()
end

function thread_done()
   con:disconnect()
end

function event()
   local id = sysbench.rand.uniform(1, sysbench.opt.table_size - 1000)
   if sysbench.opt.shape == "point" then
      con:query("SELECT id, name, phone, address FROM customers WHERE id = " .. id)
   elseif sysbench.opt.shape == "search" then
      con:query(string.format("SELECT id, name FROM customers WHERE phone = '+8190%08d'", id))
   else
      con:query("SELECT id, name, phone, address, note FROM customers WHERE id >= " .. id .. " LIMIT 1000")
   end
end
