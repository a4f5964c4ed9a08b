"""Lists of common words: what a picture might show, for detectors that compare with many prompts.

Written for this package by subject. NegLabel's authors take 79 455 words of WordNet in their place
(arXiv 2403.20078); the detectors that read these lists take files with longer ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clipvet.detectors.errors import UsageError

__all__ = ["COMMON_WORDS", "CommonWords", "read_words"]


@dataclass(frozen=True)
class CommonWords:
    """Words of one vocabulary, each once."""

    nouns: tuple[str, ...]
    adjectives: tuple[str, ...]


def read_words(path: str | Path) -> tuple[str, ...]:
    """The lines of a UTF-8 file, without blank ones and repetitions.

    Raises:
        UsageError: it cannot be read, or holds no word.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a list of words ({error})") from error
    words = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not words:
        raise UsageError(f"{path} holds no word: write one a line")
    return words


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.split()))


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(" ".join(phrase.split()) for phrase in text.split(",")))


_NOUNS = _words("""
    ant antelope bat bear beaver bee beetle bird bison boar buffalo butterfly camel cat
    caterpillar cheetah chicken chimpanzee cobra cow coyote crab cricket crocodile crow deer
    dinosaur dog dolphin donkey dove dragonfly duck eagle eel elephant falcon ferret flamingo fly
    fox frog gazelle giraffe goat goose gorilla grasshopper gull hamster hare hawk hedgehog heron
    hippopotamus horse hyena iguana jaguar jellyfish kangaroo kitten koala ladybug leopard lion
    lizard lobster lynx magpie mole monkey moose mosquito moth mouse mule octopus ostrich otter
    owl ox oyster panda parrot peacock pelican penguin pig pigeon pony puppy rabbit raccoon rat
    raven rhinoceros rooster salmon scorpion seal shark sheep shrimp skunk sloth snail snake
    sparrow spider squid squirrel starfish stork swan tiger toad trout tuna turkey turtle vulture
    walrus wasp whale wolf worm zebra acorn algae bamboo bark berry blossom branch bud bush cactus
    clover coral daisy dandelion fern forest fungus grass hedge herb ivy jungle lawn leaf lichen
    lily lotus maple meadow moss mushroom oak orchard orchid palm petal pine plant pollen poppy
    reed rose seaweed seed shrub sunflower tree trunk tulip vine weed wheat willow beach canyon
    cave cliff cloud coast comet crater creek delta desert dune earthquake field flood fog
    fountain frost galaxy glacier hill horizon ice island lagoon lake lava lightning marsh moon
    mountain mud oasis ocean pebble planet pond puddle rainbow reef ridge river rock sand sea
    shore sky snow spring star storm stream sun sunrise sunset swamp tide tornado valley volcano
    waterfall wave wetland almond apple apricot artichoke avocado bacon bagel banana bean beef
    beer beet biscuit blackberry bread broccoli burger butter cabbage cake candy carrot
    cauliflower celery cereal champagne cheese cherry chili chocolate cinnamon coconut coffee
    cookie corn cream croissant cucumber cupcake curry date dessert donut dough dumpling egg
    eggplant fig flour fruit garlic ginger grape gravy ham hazelnut honey icing jam jelly juice
    kiwi lasagna lemon lentil lettuce lime lollipop mango meat melon milk mint muffin mustard
    noodle nut oat olive omelette onion orange pancake papaya pasta pastry peach peanut pear
    pepper pickle pie pineapple pistachio pizza plum popcorn potato pretzel pudding pumpkin radish
    raisin raspberry rice salad salt sandwich sauce sausage soup soy spaghetti spice spinach steak
    stew strawberry sugar sushi syrup taco tea toast tofu tomato vanilla vinegar waffle walnut
    watermelon wine yogurt zucchini acrobat actor angel artist astronaut athlete baby baker
    ballerina bride butcher captain carpenter child choir clown coach cowboy crowd dancer dentist
    diver doctor driver farmer firefighter fisherman gardener guitarist hunter judge juggler king
    knight lawyer magician mechanic miner monk musician nurse nun painter pilot pirate plumber
    policeman priest prince princess queen sailor scientist singer soldier student surfer swimmer
    tailor teacher tourist waiter witch wizard worker ankle arm beard bone brain cheek chin ear
    elbow eye eyebrow eyelash face finger foot hair hand heart heel hip jaw kidney knee leg lip
    liver lung moustache mouth muscle nail neck nose rib scar shoulder skeleton skin skull smile
    spine stomach tattoo thumb toe tongue tooth waist wrist apron armor backpack badge bandana
    belt bikini blouse boot bracelet button cap cape coat collar corset costume crown dress
    earring glove gown hat headband helmet hood jacket jeans kilt kimono lace mask mitten necklace
    nightgown pajamas pants pocket poncho purse ring robe sandal scarf shirt shoe shorts skirt
    sleeve slipper sneaker sock suit sunglasses sweater swimsuit tie tiara trousers tuxedo
    umbrella underwear uniform veil vest wallet watch wig zipper airport alley aquarium arch arena
    attic bakery balcony bank bar barn basement bathroom bedroom bridge building bungalow cabin
    cafe canal casino castle cathedral ceiling cellar cemetery chapel chimney church cinema city
    classroom corridor cottage courthouse courtyard dam dock dome door driveway elevator factory
    farm fence fireplace floor fortress garage garden gate greenhouse gym hallway hangar harbor
    highway hospital hotel house hut igloo jail kitchen laboratory library lighthouse lobby mall
    mansion market mill mine monastery monument mosque museum nursery office palace park pavement
    pier playground pool porch prison pyramid railway restaurant road roof ruin school shed shop
    skyscraper stable stadium staircase station statue street studio subway temple tent terrace
    theater tower town tunnel village villa warehouse well window windmill yard zoo airplane
    ambulance balloon barge bicycle boat bulldozer bus canoe car caravan carriage cart crane
    excavator ferry forklift glider helicopter jeep kayak limousine locomotive minivan moped
    motorcycle parachute pickup raft rocket sailboat satellite scooter ship skateboard sled
    snowmobile spaceship submarine tank taxi tractor trailer train tram tricycle truck tugboat van
    wagon wheelchair yacht alarm album anchor anvil armchair arrow ashtray atlas axe bag ball
    bandage banjo banner barrel basin basket bathtub battery bed bell bench bible binoculars
    blackboard blanket blender board bolt book bookcase bottle bowl box brick briefcase broom
    brush bucket bulb cabinet cable cage calculator calendar camera candle cannon canvas card
    carpet cassette cello chain chair chalk chandelier chest chisel cigar cigarette clarinet
    clipboard clock coffin coin comb compass computer cork couch cradle crate crayon crib crutch
    cup cupboard curtain cushion dagger desk diamond dice dictionary diploma dishwasher doll
    drawer drill drum dustpan easel engine envelope eraser fan faucet feather file fireworks flag
    flashlight flute fork frame freezer funnel furniture glass globe glue grenade guitar gun
    hammer hammock handcuffs handle hanger harmonica harp hinge hook horn hourglass iron jar jug
    kettle key keyboard kite knife ladder lamp lantern laptop laundry leash lens letter lever lid
    lock locker luggage magazine magnet magnifier map marble match mattress medal microphone
    microscope microwave mirror mop motor mousetrap mug necktie needle net newspaper notebook oar
    oven paddle padlock paintbrush palette pan paper passport pedal pen pencil perfume phone
    photograph piano pillow pin pipe pitcher plate pliers plug poster pot printer projector pulley
    puppet puzzle quilt racket radiator radio rake razor receipt record refrigerator remote ribbon
    rifle robot rope rug ruler saddle safe saw saxophone scale scalpel scissors screen screw
    screwdriver sculpture shelf shield shovel shower sign sink soap sofa speaker sponge spoon
    stamp stapler stethoscope stool stove straw string suitcase sword syringe table tablet
    tambourine tape telephone telescope television thermometer thread ticket tire toaster toilet
    toothbrush torch towel toy tray trombone trophy trumpet tweezers typewriter vacuum vase violin
    wheel wheelbarrow whip whistle wire wrench xylophone yarn alphabet barcode cartoon chart
    collage diagram doodle drawing equation font graffiti graph icon invoice label logo maze menu
    mosaic mural number painting pattern pixel portrait scribble silhouette sketch spiral stripe
    symbol text texture watermark baseball basketball billiards bowling boxing chess climbing
    concert dance fencing fishing football funeral golf gymnastics hockey judo karate marathon
    parade party picnic poker protest race rugby sailing skating skiing snowboarding soccer
    surfing swimming tennis volleyball war wedding wrestling yoga asphalt brass bronze cardboard
    cement ceramic charcoal clay concrete copper cotton denim felt foam fur gold gravel ink
    leather linen nylon plaster plastic porcelain rubber rust silk silver smoke steam steel suede
    tar tin velvet wax wood wool
""")

_ADJECTIVES = _words("""
    abandoned abstract aerial ancient angry animated artificial asymmetrical autumnal barren
    bitter blank blurry bold bright broken bumpy burnt busy calm cheap checkered cheerful chubby
    circular classical clean closed cloudy coastal cold colorful comic cosy cracked crisp crooked
    crowded cubic curly cute cylindrical damp dangerous dark dead decorative deep delicate
    delicious dense digital dirty distant domestic dotted dramatic dry dull dusty edible elderly
    electric elegant empty enormous exotic expensive faded fancy fast fat festive fierce flat
    floral fluffy foggy formal fragile fresh frozen funny furry fuzzy giant glamorous glossy
    gloomy golden gothic graceful grainy greasy hairy handmade happy hazy heavy historic hollow
    holy horizontal hot huge humid icy indoor industrial infrared juicy large lazy leafy liquid
    lonely long loose luxurious magical marine massive mechanical medical melted messy metallic
    microscopic military minimal misty modern monochrome muddy muscular musical mythical narrow
    natural nautical neon nocturnal noisy nuclear oily old open opaque orange organic ornate
    outdoor oval pale patriotic peaceful pink plain playful pointed poisonous polar polished
    polluted porous prehistoric pretty printed purple quiet rainy rare raw reflective religious
    ripe robotic romantic rotten rough round royal rural rusty sad salty scary scenic sandy sharp
    shiny short silent silky silver simple sleepy slim slippery smiling smoky smooth snowy soft
    solar sour sparkling spherical spicy spiky spotted square steep sticky stormy striped strong
    sunny surreal sweet symmetrical tall tasty terrifying thick thin thorny tidy tight tiny toxic
    traditional transparent triangular tropical ugly underground underwater urban vertical
    victorian vintage violent viral warm watery wavy wealthy wet wide wild windy winding wise
    wooden woolen wrinkled young
""")

# What the embedded bundle has seen under these names: its vocabulary is closed.
_RENDERED_NOUNS = _phrases("""
    battery, board, bolt, bottle, bracket, bread, brush, button, cable, candle, cap, capacitor,
    capsule, coin, connector, cookie, gear, hazelnut, key, label, lamp, macaroni, microchip, nut,
    pill, plate, pouch, resistor, ring, screw, socket, switch, syringe, toothbrush, transistor,
    valve, washer, wheel, zipper, brick wall, carpet, cloth, commutator, concrete wall, dotted
    plate, dough sheet, foam, foil, grid, knurled sheet, leather, metal sheet, paper sheet,
    plastic sheet, rubber mat, solar cell, tile, wood, arrow, circle, cross, diamond, heart,
    hexagon, square, star, triangle, anchor, bed, bell, bicycle, biohazard, bomb, book, bug, bus,
    camera, car, cat, check mark, child, clock, cloud, computer, cross mark, cup, cutlery, dog,
    drop, electricity, exclamation mark, eye, fire, first aid, fish, flag, flower, fuel, gift,
    gun, hand, hourglass, house, knife, leaf, letter, light bulb, lock, magnet, magnifier, man,
    moon, motorcycle, music, no entry, paw, pencil, person, phone, plane, power, printer, question
    mark, radioactive, recycling, rocket, sad face, scissors, shield, ship, skull, smile,
    snowflake, sun, train, trash, tree, truck, umbrella, warning, wheelchair, woman, wrench
""")

_RENDERED_ADJECTIVES = _words("""
    beige black blue brown copper cyan gold green grey orange pink purple red silver white yellow
    bent broken chipped contaminated cracked damaged defective deformed dented dirty discoloured
    faulty flawless intact misprinted perfect pierced scratched stained twisted
""")

COMMON_WORDS: Mapping[Literal["open", "closed"], CommonWords] = {
    "open": CommonWords(_NOUNS, _ADJECTIVES),
    "closed": CommonWords(_RENDERED_NOUNS, _RENDERED_ADJECTIVES),
}
"""By the vocabulary of a bundle: a closed one knows the words of rendered pictures alone."""
