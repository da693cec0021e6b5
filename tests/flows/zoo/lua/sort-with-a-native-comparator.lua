-- inline: deadline value error; process: deadline value error memory
return function(self)
  local t = {} for i = 1, 1e5 do t[i] = i end for i = 1, 100 do table.sort(t, rawequal) end
end
