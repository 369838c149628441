"""The district's mathematics, kindergarten to grade 8. A line: code | codes of what comes before it | short name | statement."""

from typing import Final

LINES: Final = """
M.K.CO.1 | | Counting to 100 | Counts aloud to 100 by ones and by tens.
M.K.CO.2 | M.K.CO.1 | How many? | Finds how many things are in a set of up to 20, touching each of them once.
M.K.CO.3 | M.K.CO.2 | Numerals to 20 | Reads and writes the numerals from 0 to 20 and matches each to a set.
M.K.CO.4 | M.K.CO.2 | More, fewer, as many | Says which of two sets has more, and shows it by pairing.
M.K.CO.5 | M.K.CO.1 | Counting on | Starts at any number below 100 and counts on from there.
M.K.AS.1 | M.K.CO.2 | Joining and taking away | Acts out joining and taking away with up to 10 things, and tells the story of it.
M.K.AS.2 | M.K.AS.1 | Parts of a number | Finds all the ways in which a number up to 10 splits into two parts.
M.K.AS.3 | M.K.AS.2 | Partners of ten | Names the number that makes ten together with a given one.
M.K.AS.4 | M.K.AS.2 | Sums within 5 | Adds and takes away within 5 without stopping to count.
M.K.PV.1 | M.K.CO.3 | Ten and some more | Builds each number from 11 to 19 as a ten and some ones.
M.K.ME.1 | | Longer and heavier | Puts two things side by side and says which is longer, taller or heavier.
M.K.DA.1 | M.K.CO.4 | Sorting and counting | Sorts things by one property and says how many there are of each kind.
M.K.GE.1 | | Flat shapes | Names circles, triangles, squares and rectangles, whatever their size and however they lie.
M.K.GE.2 | M.K.GE.1 | Solid shapes | Tells solid shapes from flat ones and finds both around the room.
M.K.GE.3 | M.K.GE.1 | Making shapes | Puts small shapes together into a larger one that was asked for.
M.K.GE.4 | | Where things are | Says where a thing is with words such as above, behind and between.
M.1.CO.1 | M.K.CO.5 | Counting to 120 | Counts, reads and writes numbers up to 120, starting anywhere.
M.1.PV.1 | M.K.PV.1 | Tens and ones | Shows a two-digit number as tens and ones in more than one way.
M.1.PV.2 | M.1.PV.1 | Comparing to 99 | Compares two-digit numbers by their tens first and then their ones.
M.1.PV.3 | M.1.PV.1 | Ten more, ten less | Gives ten more or ten less than a number without counting.
M.1.AS.1 | M.K.AS.3 M.K.AS.4 | Adding within 20 | Adds within 20 by making ten, doubling or counting on, and says how.
M.1.AS.2 | M.1.AS.1 | Subtracting within 20 | Subtracts within 20 by thinking of the missing part.
M.1.AS.3 | M.1.AS.1 | Word stories to 20 | Draws and solves a story about putting together, taking from or comparing within 20.
M.1.AS.4 | M.1.AS.1 | What equal means | Judges whether both sides of an equals sign are worth the same.
M.1.AS.5 | M.1.AS.2 M.1.PV.3 | Adding tens | Adds a one-digit number or tens to a two-digit number with blocks or a sketch.
M.1.AS.6 | M.1.AS.4 | The missing number | Finds the number that makes a sum or difference true.
M.1.ME.1 | M.K.ME.1 | Measuring with units | Measures a length by laying equal units end to end without gaps.
M.1.ME.2 | M.1.CO.1 | Whole and half hours | Reads the hour and the half hour on clocks with and without hands.
M.1.DA.1 | M.K.DA.1 | Three kinds in a chart | Sorts answers into up to three kinds and asks a question the chart can answer.
M.1.GE.1 | M.K.GE.3 | What makes a shape | Tells the properties that make a shape what it is from those that do not, such as its color.
M.1.GE.2 | M.1.GE.1 | Halves and quarters | Cuts circles and rectangles into two or four equal parts and names one of them.
M.1.GE.3 | M.K.GE.2 | Building with solids | Joins two or three solids and describes what came of it.
M.2.PV.1 | | Hundreds, tens, ones | Reads, writes and builds numbers to 1000 from hundreds, tens and ones.
M.2.PV.2 | M.2.PV.1 | Comparing to 1000 | Compares three-digit numbers and defends the answer by place value.
M.2.PV.3 | M.2.PV.1 | Skip counting | Counts by fives, tens and hundreds within 1000.
M.2.AS.1 | | Facts to 20 by heart | Knows all sums of two one-digit numbers from memory.
M.2.AS.2 | M.2.AS.1 | Sums within 100 | Adds and subtracts fluently within 100 with a method of her own.
M.2.AS.3 | M.2.AS.2 M.2.PV.1 | Sums within 1000 | Adds and subtracts within 1000 and explains each trade between places.
M.2.AS.4 | M.2.AS.2 | Two-step stories | Solves stories with two steps of adding or taking away within 100.
M.2.MD.1 | M.2.AS.1 | Odd and even | Decides whether a set is odd or even by making pairs.
M.2.MD.2 | M.2.PV.3 | Equal groups in rows | Finds how many there are in rows and columns by repeated addition.
M.2.ME.1 | | Rulers | Measures length to the whole centimeter or inch with the tool that fits.
M.2.ME.2 | M.2.ME.1 M.2.AS.2 | Lengths in stories | Adds and subtracts lengths in the same unit, on a number line too.
M.2.ME.3 | M.2.PV.3 | Clocks to five minutes | Tells and writes time to five minutes, morning and afternoon.
M.2.ME.4 | M.2.AS.2 | Coins and notes | Solves stories with coins and notes and gives change.
M.2.DA.1 | | Bar and picture graphs | Draws bar and picture graphs with one-unit steps and reads differences from them.
M.2.GE.1 | | Sides and corners | Draws shapes with a given number of sides, corners or faces.
M.2.GE.2 | | Halves, thirds, quarters | Splits shapes into equal shares and sees that equal shares may look different.
M.2.GE.3 | M.2.GE.1 M.2.MD.2 | Squares in a rectangle | Splits a rectangle into rows and columns of equal squares and counts them.
M.3.MD.1 | M.2.MD.2 | What multiplying means | Reads a product as equal groups, rows or jumps, and draws it.
M.3.MD.2 | M.3.MD.1 | What dividing means | Reads a quotient as sharing out or as making groups, and draws it.
M.3.MD.3 | M.3.MD.1 | Order and grouping | Uses that factors may be swapped, grouped and split to find a product.
M.3.MD.4 | M.3.MD.2 M.3.MD.3 | The missing factor | Finds an unknown factor and links each division to a multiplication.
M.3.MD.5 | M.3.MD.4 | Times tables | Multiplies and divides within 100 quickly and without help.
M.3.MD.6 | M.3.MD.2 M.2.AS.4 | Stories with four operations | Solves two-step stories with any operation and checks the answer.
M.3.PV.1 | M.2.PV.2 | Rounding to 100 | Rounds to the nearest ten or hundred and says when that helps.
M.3.PV.2 | M.2.AS.3 | Fluent to 1000 | Adds and subtracts within 1000 with a method that always works.
M.3.PV.3 | M.3.MD.3 | Times ten | Multiplies a one-digit number by a multiple of ten.
M.3.FR.1 | M.2.GE.2 | Unit fractions | Names one of several equal parts of a whole as a unit fraction.
M.3.FR.2 | M.3.FR.1 M.2.ME.1 | Fractions on a line | Places fractions on a number line by equal steps from zero.
M.3.FR.3 | M.3.FR.2 | Same size, other name | Recognizes simple fractions of the same size and shows why.
M.3.FR.4 | M.3.FR.2 | Comparing fractions I | Compares two fractions with the same number of parts or the same size of parts.
M.3.ME.1 | M.2.ME.3 | Minutes that pass | Works out how many minutes lie between two times on a line.
M.3.ME.2 | M.2.GE.3 M.3.MD.1 | Area | Measures area by covering with unit squares and finds it by multiplying.
M.3.ME.3 | M.2.ME.2 | Perimeter | Finds the way around a shape and a missing side.
M.3.DA.1 | M.2.DA.1 M.3.MD.1 | Scaled graphs | Draws and reads graphs in which one symbol stands for several.
M.3.GE.1 | M.2.GE.1 | Families of four-sided shapes | Sorts four-sided shapes by what they share.
M.4.PV.1 | M.3.PV.3 M.2.PV.2 | Ten times the place | Explains that each place is worth ten times the one to its right.
M.4.PV.2 | M.4.PV.1 M.3.PV.1 | Large numbers | Compares and rounds numbers up to a million.
M.4.PV.3 | M.3.PV.2 M.4.PV.1 | Column sums | Adds and subtracts many-digit numbers in columns.
M.4.MD.1 | M.3.MD.5 | Times as many | Tells 'times as many' from 'more than' and writes each as an equation.
M.4.MD.2 | M.3.MD.5 M.3.PV.3 | Multiplying larger numbers | Multiplies by one or two digits with an area sketch or partial products.
M.4.MD.3 | M.3.MD.5 M.4.MD.2 | Dividing with remainder | Divides up to four digits by one digit and says what the remainder means.
M.4.MD.4 | M.3.MD.5 | Factors and multiples | Finds all factor pairs up to 100 and tells primes from composites.
M.4.MD.5 | M.4.MD.1 M.3.MD.6 | Multi-step problems | Plans and solves problems of several steps, with a letter for the unknown.
M.4.FR.1 | M.3.FR.3 M.4.MD.4 | Equivalent fractions | Makes fractions of the same size by multiplying or dividing both numbers.
M.4.FR.2 | M.4.FR.1 M.3.FR.4 | Comparing fractions II | Compares any two fractions by common parts or a benchmark such as one half.
M.4.FR.3 | M.3.FR.2 | Adding like fractions | Adds and subtracts fractions with the same denominator, mixed numbers too.
M.4.FR.4 | M.4.FR.3 M.3.MD.3 | Fraction times a number | Multiplies a fraction by a whole number as repeated jumps.
M.4.DE.1 | M.4.FR.1 M.4.PV.1 | Tenths and hundredths | Writes tenths and hundredths as decimals and places them on a line.
M.4.DE.2 | M.4.DE.1 | Comparing decimals | Compares decimals to hundredths and says why more digits need not mean more.
M.4.ME.1 | M.4.MD.1 M.3.ME.1 | Changing units | Changes a measure into a smaller unit of the same system.
M.4.ME.2 | M.3.ME.2 M.3.ME.3 | Area and perimeter rules | Uses the rules for rectangles and tells when area or perimeter is asked.
M.4.GE.1 | M.3.GE.1 | Lines and angles | Draws and finds parallel and perpendicular lines and kinds of angles.
M.4.GE.2 | M.4.GE.1 | Measuring angles | Measures and draws angles with a protractor and adds angles that lie side by side.
M.4.GE.3 | M.4.GE.1 | Symmetry | Finds and draws lines of symmetry.
M.4.DA.1 | M.3.DA.1 M.3.FR.2 | Line plots | Makes a line plot of measures in fractions and solves questions with it.
M.5.PV.1 | M.4.PV.1 M.4.DE.1 | Place value both ways | Explains how a digit's worth changes to the left and to the right of the point.
M.5.PV.2 | M.5.PV.1 M.4.DE.2 | Decimals to thousandths | Reads, writes, compares and rounds decimals to thousandths.
M.5.PV.3 | M.5.PV.1 | Powers of ten | Multiplies and divides by powers of ten and explains where the point goes.
M.5.MD.1 | M.4.MD.2 | Long multiplication | Multiplies many-digit whole numbers with the standard method.
M.5.MD.2 | M.4.MD.3 M.5.MD.1 | Dividing by two digits | Divides by two-digit numbers and checks by multiplying.
M.5.MD.3 | M.4.MD.5 | Grouping symbols | Reads and writes expressions with parentheses in the right order.
M.5.DE.1 | M.5.PV.2 M.4.PV.3 | Adding decimals | Adds and subtracts decimals to hundredths.
M.5.DE.2 | M.5.DE.1 M.5.MD.1 M.5.PV.3 | Multiplying decimals | Multiplies and divides decimals to hundredths with a sketch or a rule.
M.5.FR.1 | M.4.FR.1 M.4.FR.3 | Adding unlike fractions | Adds and subtracts fractions with different denominators.
M.5.FR.2 | M.5.FR.1 M.4.FR.2 | Fraction stories | Solves stories with fractions and judges the answer by a benchmark.
M.5.FR.3 | M.4.FR.4 M.4.MD.3 | A fraction is a quotient | Reads a fraction as a division and shares wholes out fairly.
M.5.FR.4 | M.5.FR.3 M.4.FR.4 | Multiplying fractions | Multiplies a fraction by a fraction and sees it as an area.
M.5.FR.5 | M.5.FR.4 | Scaling | Predicts, without multiplying, whether a product is larger or smaller than a factor.
M.5.FR.6 | M.5.FR.4 | Dividing with unit fractions | Divides unit fractions by whole numbers and the other way round.
M.5.ME.1 | M.4.ME.1 M.5.PV.3 | Unit problems | Changes between units of one system within a problem of several steps.
M.5.ME.2 | M.4.ME.2 M.5.MD.1 | Volume | Measures volume with unit cubes and finds it by multiplying.
M.5.GE.1 | M.3.FR.2 M.4.GE.1 | Coordinates | Plots points in the first quadrant and says what their numbers mean.
M.5.GE.2 | M.4.GE.2 | A tree of shapes | Orders flat shapes in a tree by their properties.
M.5.DA.1 | M.4.DA.1 M.5.FR.1 | Sharing out evenly | Uses a line plot of fractions to share a total out evenly.
M.6.RA.1 | M.5.FR.5 M.4.MD.1 | Ratios | Describes how two quantities go together with the language of ratios.
M.6.RA.2 | M.6.RA.1 M.5.FR.3 | Unit rates | Finds how much belongs to one and compares offers by it.
M.6.RA.3 | M.6.RA.2 M.5.GE.1 | Ratio tables | Fills tables of equal ratios, plots them and reads what is missing.
M.6.RA.4 | M.6.RA.2 M.5.DE.2 | Percent | Finds a percent of a quantity and the whole from a part.
M.6.NS.1 | M.5.FR.6 | Dividing fractions | Divides a fraction by a fraction and tells a story that fits.
M.6.NS.2 | M.5.DE.2 M.5.MD.2 | Fluent decimals | Computes with decimals of many digits by standard methods.
M.6.NS.3 | M.4.MD.4 M.5.MD.3 | Common factors | Finds greatest common factors and least common multiples and uses them to rewrite sums.
M.6.NS.4 | M.5.GE.1 | Below zero | Uses positive and negative numbers for temperature, height and debt.
M.6.NS.5 | M.6.NS.4 M.5.PV.2 | Order and distance | Orders numbers on both sides of zero and reads absolute value as a distance.
M.6.NS.6 | M.6.NS.4 | All four quadrants | Plots points in all four quadrants and finds lengths between them.
M.6.EX.1 | M.5.MD.3 | Exponents | Writes and evaluates powers with whole exponents.
M.6.EX.2 | M.6.EX.1 M.5.MD.3 | Letters for numbers | Writes, reads and evaluates expressions with letters.
M.6.EX.3 | M.6.EX.2 M.6.NS.3 | Equivalent expressions | Rewrites an expression by the rules of arithmetic without changing its worth.
M.6.EX.4 | M.6.EX.2 | One-step equations | Solves equations of one step and checks by putting the answer in.
M.6.EX.5 | M.6.EX.4 M.6.NS.5 | Inequalities on a line | Writes a condition as an inequality and shows all its answers on a line.
M.6.GE.1 | M.5.GE.2 M.4.ME.2 | Areas by cutting | Finds areas of triangles and other polygons by cutting and putting together.
M.6.GE.2 | M.6.GE.1 M.5.ME.2 | Nets and surfaces | Unfolds a solid and finds its surface.
M.6.ST.1 | M.5.DA.1 | Questions with spread | Tells a question whose answers vary from one that has a single answer.
M.6.ST.2 | M.6.ST.1 M.6.NS.2 | Center and spread | Describes data by median, mean and spread and chooses which one fits.
M.7.RA.1 | M.6.RA.3 M.6.NS.1 | Rates of fractions | Finds unit rates where both quantities are fractions.
M.7.RA.2 | M.7.RA.1 M.6.EX.4 | Proportional or not | Decides whether two quantities are proportional and finds the constant.
M.7.RA.3 | M.7.RA.2 M.6.RA.4 | Percent problems | Solves problems on tax, discount, interest and percent change.
M.7.NS.1 | M.6.NS.5 M.5.FR.1 | Adding signed numbers | Adds and subtracts positive and negative numbers, fractions too.
M.7.NS.2 | M.7.NS.1 M.6.NS.1 | Multiplying signed numbers | Multiplies and divides signed numbers and explains the sign.
M.7.NS.3 | M.7.NS.2 M.6.NS.2 | Fractions as decimals | Turns a fraction into a decimal that ends or repeats.
M.7.EX.1 | M.6.EX.3 M.7.NS.1 | Expanding and factoring | Adds, subtracts, expands and factors linear expressions.
M.7.EX.2 | M.6.EX.4 M.7.NS.2 | Two-step equations | Solves equations such as px + q = r and compares the way with arithmetic.
M.7.EX.3 | M.7.EX.2 M.6.EX.5 | Two-step inequalities | Solves inequalities of two steps and says what the answers mean.
M.7.GE.1 | M.7.RA.2 M.6.GE.1 | Scale drawings | Finds true lengths and areas from a scale drawing and draws it at another scale.
M.7.GE.2 | M.5.GE.2 M.4.GE.2 | Drawing triangles | Draws triangles from three measures and sees when there is one, none or many.
M.7.GE.3 | M.6.GE.1 M.7.RA.2 | Circles | Finds and explains circumference and area of a circle.
M.7.GE.4 | M.7.EX.2 M.4.GE.2 | Angle equations | Finds unknown angles by writing an equation.
M.7.GE.5 | M.6.GE.2 M.7.GE.3 | Surface and volume | Solves problems on area, surface and volume of solids made of prisms.
M.7.ST.1 | M.6.ST.2 M.6.RA.4 | Samples | Decides whether a sample speaks for a whole group and estimates from it.
M.7.ST.2 | M.7.ST.1 | Comparing two groups | Compares two groups by their centers and how much they overlap.
M.7.ST.3 | M.6.RA.4 | Chance | Gives a chance as a number from 0 to 1 and predicts how often something happens.
M.7.ST.4 | M.7.ST.3 | Chance in several steps | Lists all outcomes of several steps, or simulates them, and finds a chance.
M.8.NS.1 | M.7.NS.3 | Irrational numbers | Tells rational from irrational numbers and places roots between fractions.
M.8.EX.1 | M.6.EX.1 M.7.NS.2 | Laws of exponents | Works with powers of whole exponents, positive and negative.
M.8.EX.2 | M.8.EX.1 M.5.PV.3 | Scientific notation | Writes and compares very large and very small numbers as powers of ten.
M.8.EX.3 | M.8.NS.1 M.8.EX.1 | Roots | Solves equations with squares and cubes by taking roots.
M.8.EQ.1 | M.7.RA.2 M.6.NS.6 | Slope | Reads slope from a graph, a table and a rule, and explains it with similar triangles.
M.8.EQ.2 | M.7.EX.1 M.7.EX.2 | Linear equations | Solves linear equations with the unknown on both sides, also without a single answer.
M.8.EQ.3 | M.8.EQ.1 M.8.EQ.2 | Two equations at once | Solves two linear equations together by graph and by algebra.
M.8.FN.1 | M.8.EQ.1 | What a function is | Decides whether a rule gives each input exactly one output, however it is told.
M.8.FN.2 | M.8.FN.1 | Linear or not | Tells linear functions from others and gives an example of each.
M.8.FN.3 | M.8.FN.2 M.8.EQ.2 | Modeling with lines | Builds a linear function for a situation and says what rate and start mean.
M.8.GE.1 | M.7.GE.2 M.6.NS.6 | Slides, turns, flips | Moves figures by slides, turns and flips and says what stays the same.
M.8.GE.2 | M.8.GE.1 M.7.GE.1 | Similar figures | Shows that figures are similar by moves and stretches.
M.8.GE.3 | M.7.GE.4 M.8.GE.1 | Angles and parallels | Explains the angles of triangles and of lines that cross parallels.
M.8.GE.4 | M.8.EX.3 M.7.GE.2 | Right triangles | Explains the rule of Pythagoras and uses it for lengths in plane and space.
M.8.GE.5 | M.7.GE.5 M.8.EX.3 | Cylinders, cones, spheres | Finds volumes of cylinders, cones and spheres.
M.8.ST.1 | M.8.EQ.1 M.7.ST.2 | Scatter plots | Describes the pattern of a scatter plot and draws a line that fits.
M.8.ST.2 | M.7.ST.2 M.6.RA.4 | Two-way tables | Reads from a two-way table whether two properties go together.
"""
