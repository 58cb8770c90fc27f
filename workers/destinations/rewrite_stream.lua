-- Copies a page of a stream; with the last one its groups, consumers and pending entries, and puts the copy in its place.
-- Answers the last id that was copied; 'done'; 'again' where entries were taken off meanwhile.
local old, new, after, most = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2])
if redis.call('EXISTS', old) == 0 then
    return 'done'
end

if after == '-' then
    redis.call('DEL', new)
    -- The one way to make an empty stream, which keeps the last id where no entry is left.
    redis.call('XGROUP', 'CREATE', new, 'none', '0', 'MKSTREAM')
    redis.call('XGROUP', 'DESTROY', new, 'none')
end
local page = redis.call('XRANGE', old, after, '+', 'COUNT', most)
for _, entry in ipairs(page) do
    redis.call('XADD', new, entry[1], unpack(entry[2]))
end
if #page == most then
    return page[most][1]
end

local first = redis.call('XRANGE', old, '-', '+', 'COUNT', 1)[1]
redis.call('XTRIM', new, first and 'MINID' or 'MAXLEN', first and first[1] or 0)
if redis.call('XLEN', new) ~= redis.call('XLEN', old) then
    return 'again'
end

local function members(flat)
    local found = {}
    for place = 1, #flat, 2 do
        found[flat[place]] = flat[place + 1]
    end
    return found
end

redis.call('XSETID', new, members(redis.call('XINFO', 'STREAM', old))['last-generated-id'])
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', old)) do
    local group = members(flat)
    redis.call('XGROUP', 'CREATE', new, group['name'], group['last-delivered-id'])
    for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', old, group['name'])) do
        redis.call('XGROUP', 'CREATECONSUMER', new, group['name'], members(consumer)['name'])
    end
    for _, entry in ipairs(redis.call('XPENDING', old, group['name'], '-', '+', math.max(1, group['pending']))) do
        redis.call('XCLAIM', new, group['name'], entry[2], 0, entry[1], 'IDLE', entry[3], 'RETRYCOUNT', entry[4], 'FORCE',
            'JUSTID')
    end
end
redis.call('RENAME', new, old)
return 'done'
