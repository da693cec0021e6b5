-- inline: deadline memory; process: deadline memory
return function(self)
  local t = {} for i = 1, 100000 do t[i] = {i} end while true do local x = {1, 2, 3} end
end
