-- One query that returns 1,000 rows of about 190 bytes: what a relay costs on a large result.
require("oltp_common")

function thread_init()
   drv = sysbench.sql.driver()
   con = drv:connect()
end

function thread_done()
   con:disconnect()
end

function event()
   local first = sysbench.rand.uniform(1, sysbench.opt.table_size - 1000)
   con:query("SELECT id, k, c, pad FROM sbtest1 WHERE id >= " .. first .. " LIMIT 1000")
end
