-- inline: deadline memory; process: deadline memory
return function(self)
  local s = ('\0'):rep(1000000) while true do s = ('%q'):format(s) end
end
