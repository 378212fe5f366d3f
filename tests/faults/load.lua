-- Orders, or GETs of anything else, as fast as answers come or with a pause before each. Counts what was answered.
local threads = {}
local pause = tonumber(os.getenv("PAUSE") or "0")
local is_keyed = os.getenv("KEYED") == "yes"

function setup(thread)
  table.insert(threads, thread)
end

-- Of this thread; done() reads them.
totals = {}
unknown = 0

function init()
  if wrk.path == "/api/order" then
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
    wrk.headers["api_key"] = os.getenv("API_KEY")
    wrk.body = '{"items":[{"productId":"1","quantity":2},{"productId":"3","quantity":1}]}'
  end
end

if is_keyed then
  local before, after
  local sent = 0

  function request()
    if not before then
      wrk.headers["Idempotency-Key"] = "KEY"
      before, after = wrk.format():match("^(.*)KEY(.*)$")
      before = before .. os.getenv("KEY_PREFIX")
    end
    sent = sent + 1
    return before .. sent .. after
  end
end

if pause > 0 then
  -- Not all at the same moment.
  function delay()
    return math.floor(pause * (0.5 + math.random()) + 0.5)
  end
end

function response(status, _, body)
  totals[status] = (totals[status] or 0) + 1
  if status == 503 and body:find("outcome_unknown", 1, true) then
    unknown = unknown + 1
  end
end

function done(summary, latency)
  local parts, of_unknown_outcome = {}, 0
  for _, thread in ipairs(threads) do
    of_unknown_outcome = of_unknown_outcome + (thread:get("unknown") or 0)
    for status, count in pairs(thread:get("totals") or {}) do
      table.insert(parts, string.format('"%d": %d', status, count))
    end
  end
  -- Of each thousandth of the answers one, so that the latencies of several runs can be put together.
  local sample = {}
  for part = 0, 999 do
    table.insert(sample, string.format("%.6f", latency:percentile((part + 0.5) / 10) / 1e6))
  end
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"seconds": %f, "rate": %f, "p50": %f, "p99": %f, "max": %f, "unanswered": %d, "unknown": %d, "statuses": {%s}, "sample": [%s]}\n',
    summary.duration / 1e6, summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1e6,
    latency:percentile(99) / 1e6, latency.max / 1e6, errors.connect + errors.read + errors.write + errors.timeout, of_unknown_outcome,
    table.concat(parts, ", "), table.concat(sample, ", ")))
end
