"""Names of people who never were, from many places; with a space between them."""

from typing import Final

GIVEN: Final = (
    "Aaliyah Abel Adaeze Aiko Alejandra Alina Amara Amir Ana Anders Aniyah Anouk Arjun Asha Aurelio Ayaan Aylin Beatriz Ben Bilal "
    "Birgit Callum Camila Carlos Chidi Chloe Dalia Daniel Darius Davit Deepa Dmitri Ebony Eleni Elias Emeka Emre Esme Ezra Fatima Felix "
    "Femi Freya Gabriel Giulia Grace Hana Hassan Hugo Ibrahim Ida Imani Ines Ingrid Isaac Ivana Jalen Jamila Javier Jin Jonas Josefina "
    "Juma Kai Kalani Kamala Keisha Kenji Khalid Kiara Kofi Lakshmi Lars Layla Leandro Leila Lev Lina Lucia Luka Mahmoud Maite Malik "
    "Mani Marisol Mateo Maya Mei Mikael Mina Miriam Nadia Naoki Naomi Nia Nikhil Nina Noor Oksana Olivia Omar Oscar Paloma Parisa Pedro "
    "Petra Priya Quentin Rafael Rania Ravi Reina Rohan Rosa Ruben Sade Sakura Salma Samir Sanaa Santiago Selma Simone Sofia Soren Suda "
    "Tadeo Talia Tamar Tariq Tenzin Thandi Theo Tomas Uma Valeria Viktor Wanjiru Wei Xochitl Yara Yasmin Yusuf Zainab Zara Zhi Ziva Zoe "
)
FAMILY: Final = (
    "Abara Abdi Acosta Adeyemi Aguilar Ahmadi Alvarez Amsel Anand Arslan Asante Avila Baptiste Barros Begay Bekele Berg Bianchi Botha "
    "Brandt Calloway Castro Chaudhry Chen Cho Clarke Cohen Costa Dahl Danso Delgado Demir Diallo Dimitrova Dubois Ekong Eriksen "
    "Espinoza Farouk Fernandes Fofana Foster Friedman Fujita Garba Garcia Ghosh Gomez Grant Green Gupta Haddad Hahn Hale Hansen Hartley "
    "Hassan Hernandez Hoang Holm Ibarra Iqbal Ito Ivanov Jackson Jafari Jansen Jimenez Johansson Jung Kamau Kapoor Karimi Kaya Keita "
    "Khan Kim Kovacs Kruger Kumar Larsen Laurent Lee Levy Lin Lindqvist Lopez Lowe Ma Mahlangu Malik Marin Marsh Mbeki Medina Mehta "
    "Mendez Moreau Morales Mori Mukherjee Murphy Nakamura Navarro Ndiaye Nguyen Nikolaou Novak Nunez Obi Odhiambo Okafor Olsen Onyango "
    "Ortega Osei Park Patel Pereira Petrov Pham Pinto Popov Quispe Rahman Ramirez Reyes Rivera Romano Rossi Roy Saito Salazar Santos "
    "Sato Sharma Silva Singh Solis Soto Suzuki Tadesse Takahashi Tan Teixeira Torres Tran Tsosie Usman Vargas Vega Volkov Wagner Walker "
    "Wang Weber Wilson Wong Yang Yilmaz Young Zamora Zhou Zulu "
)
