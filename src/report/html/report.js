(function () {
  var root = document.documentElement;
  root.classList.add('js');
  var cards = [].slice.call(document.querySelectorAll('.card'));
  var buttons = [].slice.call(document.querySelectorAll('.filter button'));
  var shown = document.querySelector('.filter output');
  function choose(button) {
    var kind = button.getAttribute('data-kind'), value = button.getAttribute('data-value'), n = 0;
    buttons.forEach(function (other) { other.setAttribute('aria-pressed', String(other === button)); });
    cards.forEach(function (card) {
      var on = kind === 'all' || (' ' + card.getAttribute('data-' + kind) + ' ').indexOf(' ' + value + ' ') >= 0;
      card.hidden = !on;
      if (on) { n += 1; }
    });
    if (shown) { shown.textContent = shown.getAttribute('data-text').replace('0', String(n)); }
  }
  buttons.forEach(function (button) {
    button.addEventListener('click', function () { choose(button); });
  });
}());
