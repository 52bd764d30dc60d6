-- SPDX-License-Identifier: MIT
--
-- No script: what stands before put, renew and remove.

-- The instance of an entry; an entry that nobody can read holds nothing.
local function instance(text)
    local ok, entry = pcall(cjson.decode, text)
    return ok and type(entry) == 'table' and type(entry.inst) == 'string' and entry.inst or ''
end
