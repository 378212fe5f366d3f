-- Orders as fast as answers come, or plain GETs. KIND is plain, keyed, limited or get.
local kind = os.getenv("KIND")
local round = os.getenv("ROUND") or "0"
local threads = 0

function setup(thread)
  thread:set("thread_number", threads)
  threads = threads + 1
end

if kind ~= "get" then
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["api_key"] = "apitest"
  local code = kind == "limited" and ',"couponCode":"BENCH"' or ""
  wrk.body = '{"items":[{"productId":"1","quantity":2},{"productId":"3","quantity":1}]' .. code .. "}"
end

if kind == "keyed" then
  -- Formatted once: the load generator shares the machine, and must not cost more for one kind than for another.
  local before, after, sent

  function init()
    wrk.headers["Idempotency-Key"] = "KEY"
    before, after = wrk.format():match("^(.*)KEY(.*)$")
    before = before .. "bench-" .. round .. "-" .. thread_number .. "-"
    sent = 0
  end

  function request()
    sent = sent + 1
    return before .. sent .. after
  end
end

function done(summary, latency)
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format("RESULT %f %f %f %d %d\n", summary.requests / (summary.duration / 1e6),
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, errors + summary.errors.status, summary.requests))
end
