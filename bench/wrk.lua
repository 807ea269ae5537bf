-- For wrk: sends the requests of a file in turn, and prints what came back as one line of JSON.
-- Each line of the file is method, path and body, with tabs between.

local requests, turn = {}, 0
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  statuses = {} -- global, for done() to read it
  for line in io.lines(args[1]) do
    local method, path, body = line:match("^(%S+)\t(%S+)\t(.*)$")
    if body == "" then
      body = nil
    end
    table.insert(requests, wrk.format(method, path, { ["Content-Type"] = "application/json" }, body))
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function response(status)
  local key = tostring(status)
  statuses[key] = (statuses[key] or 0) + 1
end

function done(summary, latency)
  local counts = {}
  for status, count in pairs(threads[1]:get("statuses")) do
    table.insert(counts, string.format('"%s": %d', status, count))
  end
  local errors = summary.errors
  print(string.format(
    '{"microseconds": %d, "p50": %d, "p99": %d, "broken": %d, "statuses": {%s}}',
    summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.timeout, table.concat(counts, ", ")
  ))
end
