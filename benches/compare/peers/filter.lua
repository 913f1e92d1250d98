-- Which fields of a deal leave: the five rules of bundle/policies/deals.cedar, written out by hand.
--
-- The body is collected, decoded, built anew from the permitted fields and encoded. Names are looked up once per worker.
local cjson = require "cjson"
local concat = table.concat

-- As many digits of a number as this cjson writes; more are lost.
cjson.encode_number_precision(14)

local function read_json(path)
    local file = assert(io.open(path))
    local text = file:read("*a")
    file:close()
    return cjson.decode(text)
end

local rules = read_json(ngx.config.prefix() .. "fields.json")
local open_stages = {}
for _, stage in ipairs(rules.open_stages) do open_stages[stage] = true end

local function visible(deal)
    local is_own = deal.owner_id == rules.caller_crm_id
    local has_money = open_stages[deal.stage] and (is_own or deal.amount <= rules.large_amount)
    local case = is_own and (has_money and "both" or "contact") or (has_money and "money" or "neither")
    local names = rules.shown[case]
    local shown = { id = deal.id }
    for i = 1, #names do
        local name = names[i]
        shown[name] = deal[name]
    end
    return shown
end

local filter = {}

function filter.head()
    -- The length changes; without one nginx sends chunks.
    ngx.header.content_length = nil
end

function filter.body()
    local ctx = ngx.ctx
    local parts = ctx.parts
    if not parts then
        parts = { n = 0 }
        ctx.parts = parts
    end
    parts.n = parts.n + 1
    parts[parts.n] = ngx.arg[1]
    if not ngx.arg[2] then
        ngx.arg[1] = nil
        return
    end
    local ok, document = pcall(cjson.decode, concat(parts, "", 1, parts.n))
    if not ok or ngx.status ~= 200 then
        ngx.arg[1] = "{}"
        return
    end
    if document.data then
        local data = {}
        for i = 1, #document.data do data[i] = visible(document.data[i]) end
        ngx.arg[1] = cjson.encode({ data = data, page = document.page })
    else
        ngx.arg[1] = cjson.encode(visible(document))
    end
end

return filter
