-- inline: deadline memory; process: deadline memory
return function(self)
  local s = '[' .. ('1,'):rep(100000) .. '1]' while true do json.decode(s) end
end
