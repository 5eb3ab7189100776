-- The load of bench/http: sends the given requests in turn, and reports as JSON on one line.
-- Arguments: a file with one target a line; a file with one "Name: value" a line, which may be empty.

local requests = {}
local turn = 0

function init(arguments)
  local headers = {}
  for line in io.lines(arguments[2]) do
    local name, value = line:match("^([^:]+): (.*)$")
    headers[name] = value
  end
  for target in io.lines(arguments[1]) do
    requests[#requests + 1] = wrk.format("GET", target, headers)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    '{"requests": %d, "failed": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f}\n',
    summary.requests, failed, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
