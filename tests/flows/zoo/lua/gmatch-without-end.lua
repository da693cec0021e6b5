-- inline: deadline; process: deadline
return function(self)
  while true do for w in ('a b c'):gmatch('%a+') do end end
end
