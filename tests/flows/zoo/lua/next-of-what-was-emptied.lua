-- inline: deadline memory value; process: deadline memory value
return function(self)
  local t = {} for i = 1, 300000 do t['k' .. i] = 1 end while next(t) do t[next(t)] = nil end
end
