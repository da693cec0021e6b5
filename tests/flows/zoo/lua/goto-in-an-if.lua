-- inline: deadline; process: deadline
return function(self)
  local n = 0 ::a:: n = n + 1 if n then goto a end
end
