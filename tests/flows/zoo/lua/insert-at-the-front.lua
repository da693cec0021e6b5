-- inline: deadline memory; process: deadline memory
return function(self)
  local t = {} while true do table.insert(t, 1, 1) end
end
