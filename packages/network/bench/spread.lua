-- For wrk: spreads a client's connections evenly over the addresses behind `--`.
--
--   wrk ... -s spread.lua http://FIRST:PORT/ -- PORT CONNECTIONS kept|new ADDRESS...
--
-- wrk itself knows one address. Each connection's first request asks to be closed, and the next connection goes
-- to the next address; "kept" keeps those, "new" goes on so. Both sides of a comparison run this, so that a client
-- has to do with as many servers on the one as on the other.

local addresses, closing, keeping = {}, nil, nil
local count, first, kept = 0, 0, false

function init(args)
  first, kept = tonumber(args[2]), args[3] == "kept"
  for index = 4, #args do
    addresses[#addresses + 1] = wrk.lookup(args[index], args[1])[1]
  end
  closing = wrk.format("GET", "/", { ["Host"] = "copy", ["Connection"] = "close" })
  keeping = wrk.format("GET", "/", { ["Host"] = "copy" })
end

function request()
  count = count + 1
  wrk.thread.addr = addresses[count % #addresses + 1]
  if kept and count > first then return keeping end
  return closing
end
