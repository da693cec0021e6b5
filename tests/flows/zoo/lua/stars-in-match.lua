-- inline: deadline; process: deadline
return function(self)
  return (('a'):rep(60000)):match(('a*'):rep(20) .. 'b')
end
