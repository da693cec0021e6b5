-- inline: deadline; process: deadline
return function(self)
  return (('a'):rep(60000)):find(('.-'):rep(12) .. 'b')
end
