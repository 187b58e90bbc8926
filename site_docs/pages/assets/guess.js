// A box with data-choices asks first: what is in it besides its question shows when one is chosen.
// Without JavaScript, and on paper, all of it shows.
let asked = 0;

function choose(box, rest, choices, chosen) {
  const right = chosen === Number(box.dataset.answer);
  const said = document.createElement("p");
  said.className = "guessed";
  said.setAttribute("tabindex", "-1");
  said.textContent = `You guessed “${box.dataset.choices.split("|")[chosen]}”. ${right ? "Right." : "No:"}`;
  choices.replaceWith(said);
  rest.forEach((element) => element.classList.remove("veiled"));
  said.focus();
}

document$.subscribe(() => {
  for (const box of document.querySelectorAll("[data-choices]")) {
    const question = box.querySelector(".question");
    const rest = [...box.children].filter((element) => element !== question);
    asked += 1;
    question.id = `question-${asked}`;
    const choices = document.createElement("div");
    choices.className = "choices";
    choices.setAttribute("role", "group");
    choices.setAttribute("aria-labelledby", question.id);
    box.dataset.choices.split("|").forEach((text, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = text;
      button.addEventListener("click", () => choose(box, rest, choices, place));
      choices.append(button);
    });
    rest.forEach((element) => element.classList.add("veiled"));
    question.after(choices);
  }
});
