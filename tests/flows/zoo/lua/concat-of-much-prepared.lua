-- inline: deadline memory; process: deadline memory
return function(self)
  local t = {} for i = 1, 1000000 do t[i] = i end while true do table.concat(t, ',') end
end
