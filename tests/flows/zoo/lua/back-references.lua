-- inline: deadline; process: deadline
return function(self)
  return (('ab'):rep(100000)):find('(.-)(.-)(.-)%1%2%3x')
end
