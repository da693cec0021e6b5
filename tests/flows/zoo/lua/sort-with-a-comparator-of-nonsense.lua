-- inline: deadline value error; process: deadline value error
return function(self)
  local t = {} for i = 1, 1000 do t[i] = i end for i = 1, 1e9 do table.sort(t, function() return true end) end
end
