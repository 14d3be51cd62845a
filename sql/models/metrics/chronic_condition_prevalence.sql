with patient as (
    select * from marts.patient_demographics where not is_deceased and age is not null
),

age_band as (
    select * from marts.age_band
),

member as (
    select * from marts.concept_set_member where kind = 'chronic_condition'
),

episode as (
    select * from marts.condition_episodes where is_ongoing
),

banded as (
    select
        patient.person_id,
        patient.sex,
        age_band.age_band
    from patient
    inner join age_band on patient.age between age_band.min_age and age_band.max_age
),

population as (
    select
        age_band,
        sex,
        count(*) as population_count
    from banded
    group by age_band, sex
),

affected as (
    select
        member.concept_set,
        banded.age_band,
        banded.sex,
        count(distinct banded.person_id) as patient_count
    from banded
    inner join episode on banded.person_id = episode.person_id
    inner join member on episode.condition_concept_id = member.concept_id
    group by member.concept_set, banded.age_band, banded.sex
),

shared as (
    select
        condition.concept_set,
        condition.title,
        population.age_band,
        population.sex,
        population.population_count,
        coalesce(affected.patient_count, 0) as patient_count,
        cast(coalesce(affected.patient_count, 0) as double) / population.population_count as p,
        cast(population.population_count as double) as n
    from population
    cross join (select distinct concept_set, title from member) as condition
    left join affected
        on condition.concept_set = affected.concept_set
        and population.age_band = affected.age_band
        and population.sex = affected.sex
),

final as (
    select
        concept_set,
        title,
        age_band,
        sex,
        population_count,
        patient_count,
        p as prevalence,
        round(greatest(
            (p + 1.9208 / n - 1.96 * sqrt(p * (1 - p) / n + 0.9604 / (n * n))) / (1 + 3.8416 / n), 0e0
        ), 9) as prevalence_low,
        round(least(
            (p + 1.9208 / n + 1.96 * sqrt(p * (1 - p) / n + 0.9604 / (n * n))) / (1 + 3.8416 / n), 1e0
        ), 9) as prevalence_high
    from shared
)

select * from final
