-- inline: memory deadline; process: memory deadline
return function(self)
  local t = {} for i = 1, 1e7 do t[i] = 'abcdefgh' end return #table.concat(t, ',')
end
