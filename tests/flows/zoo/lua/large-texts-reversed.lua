-- inline: deadline memory; process: deadline memory
return function(self)
  local a = ('x'):rep(8000000) while true do local b = a:reverse():upper():lower() end
end
