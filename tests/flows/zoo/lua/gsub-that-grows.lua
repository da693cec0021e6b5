-- inline: deadline memory; process: deadline memory
return function(self)
  local s = 'x' while true do s = s:gsub('x', 'xx') end
end
