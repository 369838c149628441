"""The district's reading, kindergarten to grade 8. A line: code | codes of what comes before it | short name | statement."""

from typing import Final

LINES: Final = """
R.K.PH.1 | | Sounds in words | Hears and says the first, middle and last sound of a short word.
R.K.PH.2 | R.K.PH.1 | Letters and sounds | Gives the most common sound of each letter.
R.K.VO.1 | | Words from pictures | Works out a new word from a picture and what is read aloud.
R.K.LI.1 | | Retelling with help | Retells a familiar story with its beginning, middle and end.
R.K.IN.1 | R.K.VO.1 | What a text is about | Says what a text that was read aloud is about.
R.1.PH.1 | R.K.PH.2 | Blending words | Reads regular one-syllable words by blending their sounds.
R.1.FL.1 | R.1.PH.1 | Reading sentences | Reads short sentences smoothly and goes back when they make no sense.
R.1.VO.1 | R.K.VO.1 | Word families | Sorts words by meaning and says what a family has in common.
R.1.LI.1 | R.K.LI.1 R.1.FL.1 | Who, where, what | Names characters, setting and main events with details.
R.1.IN.1 | R.K.IN.1 R.1.FL.1 | Finding facts | Uses headings and captions to find a fact.
R.2.PH.1 | | Vowel teams | Reads words with vowel teams and two syllables.
R.2.FL.1 | R.2.PH.1 | Reading with expression | Reads a page aloud at a speaking pace and with expression.
R.2.VO.1 | | Prefixes and endings | Works out a word from its prefix or ending.
R.2.LI.1 | R.2.FL.1 | The message of a tale | Retells fables and folk tales and says what they teach.
R.2.IN.1 | R.2.FL.1 | Main topic of paragraphs | Tells the main topic of a text and what each paragraph adds.
R.3.VO.1 | R.2.VO.1 | Clues around a word | Uses the sentence around an unknown word to find its meaning.
R.3.FL.1 | R.2.FL.1 | Fluent chapters | Reads a chapter silently and keeps its thread.
R.3.LI.1 | R.2.LI.1 R.3.FL.1 | Why characters act | Explains how what a character wants and feels moves the story on.
R.3.LI.2 | R.3.LI.1 | Point of view | Tells her own point of view from that of narrator and characters.
R.3.IN.1 | R.2.IN.1 R.3.FL.1 | Main idea and details | Finds the main idea and how details carry it.
R.3.IN.2 | R.3.IN.1 | Cause and effect | Describes how events or steps follow from one another.
R.4.VO.1 | R.3.VO.1 | Roots of words | Uses Greek and Latin roots to unlock a word.
R.4.LI.1 | R.3.LI.1 R.4.VO.1 | Theme | Finds a theme and sums the story up around it.
R.4.LI.2 | R.3.LI.2 | Two tellers | Compares how two stories are told, and by whom.
R.4.IN.1 | R.3.IN.1 R.4.VO.1 | Reasons and evidence | Explains how an author backs up a point.
R.4.IN.2 | R.3.IN.2 R.4.IN.1 | Two texts, one topic | Brings together what two texts say on the same topic.
R.5.VO.1 | R.4.VO.1 | Figures of speech | Explains similes, metaphors and sayings.
R.5.LI.1 | R.4.LI.1 | Quoting to prove | Quotes exactly to support what the text says and what she concludes.
R.5.LI.2 | R.4.LI.2 R.5.LI.1 | How a narrator shapes | Describes how the narrator's view shapes what is told.
R.5.IN.1 | R.4.IN.1 | Several main ideas | Finds two or more main ideas and sums the text up.
R.5.IN.2 | R.4.IN.2 R.5.IN.1 | How texts are built | Compares how texts are organized: time, cause, problem, comparison.
R.6.VO.1 | R.5.VO.1 | Shades of meaning | Tells words of nearly the same meaning apart by their tone.
R.6.LI.1 | R.5.LI.1 | Plot and change | Describes how a plot unfolds and how characters change with it.
R.6.LI.2 | R.5.LI.2 | Building a viewpoint | Explains how an author develops the viewpoint of a speaker.
R.6.IN.1 | R.5.IN.2 | Claims | Tells claims that are backed by reasons from those that are not.
R.6.IN.2 | R.6.IN.1 | Words and pictures | Combines what words, charts and pictures say.
R.7.VO.1 | R.6.VO.1 | Allusions | Explains allusions to stories and myths.
R.7.LI.1 | R.6.LI.1 | How parts interact | Explains how setting, character and plot shape each other.
R.7.LI.2 | R.6.LI.2 | Contrasting views | Shows how views of different characters are set against each other.
R.7.IN.1 | R.6.IN.1 | Tracing an argument | Follows an argument and judges whether the evidence is enough.
R.7.IN.2 | R.7.IN.1 R.6.IN.2 | How authors differ | Shows how two authors present the same facts differently.
R.8.VO.1 | R.7.VO.1 | Irony and wordplay | Explains irony, puns and what they do.
R.8.LI.1 | R.7.LI.1 R.7.LI.2 | Old tales made new | Shows how a modern story draws on an old one and makes it new.
R.8.IN.1 | R.7.IN.1 | Judging sources | Judges whether sources are sound, relevant and sufficient.
R.8.IN.2 | R.8.IN.1 R.7.IN.2 | Where texts disagree | Finds where texts disagree on fact or on how facts are read.
"""
