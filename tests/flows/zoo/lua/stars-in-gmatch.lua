-- inline: deadline; process: deadline
return function(self)
  for _ in (('a'):rep(60000)):gmatch(('a*'):rep(20) .. 'b') do end
end
